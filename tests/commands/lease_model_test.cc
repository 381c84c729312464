// A list with leases and settings against a model of one: the same random commands and clock moves
// to both, every reply compared, and after each step that every element is in exactly one place.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

struct Element {
  std::string text;
  int64_t deliveries = 0;
};

enum class In { kHeld, kWaiting, kDead };

struct Leased {
  Element element;
  In in = In::kHeld;
  bool left = true;
  std::string owner;
  int64_t since = 0, due = 0;
};

struct Rules {
  std::vector<int64_t> backoff;
  int64_t max_deliveries = 0, tokens = 0, per_ms = 0, burst = 0, max_length = 0;
  bool dead_letter = false;
  bool any() const {
    return !backoff.empty() || max_deliveries || tokens || max_length || dead_letter;
  }
};

// As simple as can be: maps that are searched from end to end.
class Model {
 public:
  Rules rules;
  int64_t now = 1'700'000'000'000;
  std::deque<Element> list;
  std::map<int64_t, Leased> leases;  // by number
  std::deque<std::string> letters;
  int64_t bucket = 0, bucket_at = 0;
  int64_t redelivered = 0, dead_lettered = 0;

  int64_t Level() const {
    return std::min(rules.burst * rules.per_ms, bucket + (now - bucket_at) * rules.tokens);
  }
  size_t MayTake() const {
    return rules.tokens ? static_cast<size_t>(Level() / rules.per_ms) : SIZE_MAX;
  }
  void Fill() { bucket = rules.burst * rules.per_ms, bucket_at = now; }
  void Pay(size_t n) {
    if (rules.tokens) bucket = Level() - static_cast<int64_t>(n) * rules.per_ms, bucket_at = now;
  }
  void Refund() { bucket = std::min(rules.burst * rules.per_ms, bucket + rules.per_ms); }
  bool Room(size_t n) const {
    return !rules.max_length || list.size() + n <= static_cast<size_t>(rules.max_length);
  }
  // A list that holds nothing at all is forgotten with what it has counted.
  void Settle() {
    if (list.empty() && leases.empty() && !rules.any()) redelivered = dead_lettered = 0;
  }

  void Push(bool left, Element e) {
    left ? list.push_front(std::move(e)) : list.push_back(std::move(e));
  }
  Element Pop(bool left) {
    Element e = left ? list.front() : list.back();
    left ? list.pop_front() : list.pop_back();
    return e;
  }
  void Take(int64_t number, bool left, const std::string& owner, int64_t ms) {
    Leased l{Pop(left), In::kHeld, left, owner, now, now + ms};
    redelivered += l.element.deliveries++ > 0;
    leases[number] = l;
  }
  void Return(int64_t number, int64_t deliveries) {
    Leased l = leases[number];
    leases.erase(number);
    Push(l.left, {l.element.text, deliveries});
  }
  std::vector<std::pair<int64_t, int64_t>> given_up;  // when; number
  void GiveUp(int64_t number, int64_t ended) {
    leases[number].in = In::kDead;
    given_up.emplace_back(ended, number);
  }
  void PushLetters() {
    std::sort(given_up.begin(), given_up.end());
    for (auto& [ended, number] : given_up) {
      if (!rules.dead_letter) break;
      letters.push_back(leases[number].element.text);
      leases.erase(number);
      ++dead_lettered;
    }
    given_up.clear();
  }
  void Fail(int64_t number, int64_t ended, int64_t delay) {
    Leased& l = leases[number];
    bool last = rules.max_deliveries && l.element.deliveries >= rules.max_deliveries;
    if (l.in == In::kDead || last) return GiveUp(number, ended);
    int64_t wait = delay;
    if (delay < 0) {
      size_t k = static_cast<size_t>(std::max<int64_t>(l.element.deliveries - 1, 0));
      wait = rules.backoff.empty() ? 0 : rules.backoff[std::min(k, rules.backoff.size() - 1)];
    }
    if (wait == 0) return Return(number, l.element.deliveries);
    l.in = In::kWaiting;
    l.due = ended + wait;
  }
  void Release(int64_t number, int64_t delay) {
    Leased& l = leases[number];
    if (l.in == In::kHeld) --l.element.deliveries;
    if (l.in == In::kDead) l.element.deliveries = 0;
    if (delay <= 0) return Return(number, l.element.deliveries);
    l.in = In::kWaiting;
    l.due = now + delay;
  }
  void Advance(int64_t ms) {
    now += ms;
    while (true) {
      int64_t first = 0;
      for (auto& [number, l] : leases) {
        if (l.in == In::kDead || l.due > now) continue;
        if (!first || l.due <= leases[first].due) first = number;
      }
      if (!first) return PushLetters();
      Leased& l = leases[first];
      l.in == In::kWaiting ? Return(first, l.element.deliveries) : Fail(first, l.due, -1);
    }
  }
};

std::string Int(int64_t n) { return "(integer) " + std::to_string(n); }

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {
    names_ = {"", "w1", std::string(600, 'n')};
    for (int i = 0; i < 3; ++i) {
      workers_.push_back(std::make_unique<TestClient>(&server_));
      if (i) workers_.back()->Call({"CLIENT", "SETNAME", names_[i]});
    }
    if (Pick(2)) Rule();
  }

  void Step() {
    switch (Pick(16)) {
      case 0:
      case 1:
      case 2:
        Push();
        break;
      case 3:
      case 4:
      case 5:
        Lease();
        break;
      case 6:
        Ack();
        break;
      case 7:
      case 8:
        Nack();
        break;
      case 9:
        Pick(2) ? Touch() : Pop();
        break;
      case 10:
        Edit();
        break;
      case 11:
        Pick(6) ? Edit() : Rule();
        break;
      case 12:
        Pick(3) ? Wait() : Carry();
        break;
      case 13:
        Pick(10) ? Advance() : Drop();
        break;
      default:
        Advance();
    }
    ServeWaiter();
    m_.Settle();
  }

  void Check() {
    std::string elements, letters, pending;
    for (const Element& e : m_.list) elements += (elements.empty() ? "\"" : ", \"") + e.text + "\"";
    Quietly("LRANGE q 0 -1", "[" + elements + "]");
    Quietly("LLEN q", Int(static_cast<int64_t>(m_.list.size())));
    Quietly("EXISTS q", Int(!m_.list.empty()));
    Quietly("DBSIZE", Int(!m_.list.empty() + !m_.letters.empty()));
    for (const std::string& l : m_.letters) letters += (letters.empty() ? "\"" : ", \"") + l + "\"";
    Quietly("LRANGE d 0 -1", "[" + letters + "]");
    std::map<In, int64_t> in;
    std::map<std::string, int64_t> owners;
    for (auto& [number, l] : m_.leases) {
      ++in[l.in];
      ++owners[l.owner];
      pending += (pending.empty() ? "[\"" : ", [\"") + ids_[number] + "\", \"" + l.owner + "\", " +
                 Int(m_.now - l.since) + ", " + Int(l.element.deliveries) + "]";
    }
    Quietly("LLEASE PENDING q - + 100000", "[" + pending + "]");
    std::string summary = "[(integer) 0, (nil), (nil), (nil)]";
    if (!m_.leases.empty()) {
      std::string who;
      for (auto& [name, n] : owners) {
        who += (who.empty() ? "[\"" : ", [\"") + name + "\", \"" + std::to_string(n) + "\"]";
      }
      summary = "[" + Int(static_cast<int64_t>(m_.leases.size())) + ", \"" +
                ids_[m_.leases.begin()->first] + "\", \"" + ids_[m_.leases.rbegin()->first] +
                "\", [" + who + "]]";
    }
    Quietly("LLEASE PENDING q", summary);
    std::string info = c_("LLEASE POLICY q");
    if (m_.list.empty() && m_.leases.empty() && !m_.rules.any()) {
      CHECK_MESSAGE(info == "(error) ERR no such key", info << log_);
      return;
    }
    std::string counters = "\"in-flight\", " + Int(in[In::kHeld]) + ", \"waiting\", " +
                           Int(in[In::kWaiting]) + ", \"dead\", " + Int(in[In::kDead]) +
                           ", \"redelivered\", " + Int(m_.redelivered) + ", \"dead-lettered\", " +
                           Int(m_.dead_lettered) + "]";
    CHECK_MESSAGE(info.ends_with(counters), counters << " is not in " << info << log_);
  }

  // What the rows say is what was thought; and when all is done, nothing is left of it.
  void Reload() {
    server_.Turn();
    REQUIRE(server_.store().keys().Load().ok());
  }
  void Finish() {
    waiter_.reset();
    m_.rules = Rules();
    c_("LCFGSET q BACKOFF 0 MAXDELIVERIES 0 DEADLETTER '' RATE 0 0 MAXLEN 0");
    for (auto& [number, l] : m_.leases) {
      CHECK(c_("LLEASE ACK q IDS 1 " + ids_[number]) == "(integer) 1");
    }
    c_("LTRIM q 1 0");
    c_("DEL d");
    server_.AdvanceMs(1'000'000);
    while (server_.store().Reclaim()) {
    }
    server_.Turn();
    for (Table table : {Table::kKeys, Table::kList, Table::kReturned, Table::kLease,
                        Table::kLeaseDue, Table::kLeaseOwner, Table::kTimer, Table::kGarbage}) {
      CHECK_MESSAGE(!Cursor(&server_.store().env(), table).First(),
                    "table " << static_cast<int>(table) << log_);
    }
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  void Same(const std::string& command, const std::string& expected) {
    log_ += "\n" + command;
    Quietly(command, expected);
  }
  void Quietly(const std::string& command, const std::string& expected) {
    std::string reply = c_(command);
    CHECK_MESSAGE(reply == expected, "expected " << expected << " of " << command << ", got "
                                                 << reply << "\nafter" << log_);
  }
  std::string Text() { return std::string(1, static_cast<char>('a' + Pick(5))); }
  static constexpr const char* kFull = "(error) BACKLOG queue limit reached";

  void Push() {
    bool left = Pick(2), only_existing = Pick(8) == 0;
    std::string command = left ? "LPUSH" : "RPUSH";
    if (only_existing) command += "X";
    command += " q";
    std::vector<std::string> texts;
    for (int n = 1 + Pick(4); n > 0; --n) texts.push_back(Text());
    for (const std::string& text : texts) command += " " + text;
    if (only_existing && m_.list.empty()) return Same(command, "(integer) 0");
    if (!m_.Room(texts.size())) return Same(command, kFull);
    size_t after = m_.list.size() + texts.size();
    for (const std::string& text : texts) m_.Push(left, {text, 0});
    Same(command, Int(static_cast<int64_t>(after)));
  }

  // The ids in a reply [["id", "element"], ...], each taken by the model as it takes them.
  void Took(const std::string& reply, size_t n, bool left, const std::string& owner, int64_t ms) {
    std::string expected;
    size_t at = 0;
    for (size_t i = 0; i < n; ++i) {
      at = reply.find('-', at) + 1;
      size_t from = reply.rfind('"', at) + 1, to = reply.find('"', at);
      REQUIRE_MESSAGE(at != 0, reply << log_);
      std::string id = reply.substr(from, to - from);
      int64_t number = std::stoll(reply.substr(at));
      ids_[number] = id;
      m_.Take(number, left, owner, ms);
      expected += (i ? ", [\"" : "[\"") + id + "\", \"" + m_.leases[number].element.text + "\"]";
    }
    m_.Pay(n);
    expected = "[\"q\", [" + expected + "]]";
    CHECK_MESSAGE(reply == expected, "expected " << expected << ", got " << reply << log_);
  }
  void Lease() {
    bool left = Pick(2);
    int who = Pick(3), count = Pick(4);
    int64_t ms = 1 + Pick(150);
    std::string command = std::string("LMPOP 1 q ") + (left ? "LEFT" : "RIGHT");
    std::string counted = count ? " COUNT " + std::to_string(count) : "";
    std::string leased = " LEASE " + std::to_string(ms);
    command += Pick(2) ? counted + leased : leased + counted;
    log_ += "\n" + command;
    std::string reply = (*workers_[who])(command);
    size_t n = std::min({m_.list.size(), m_.MayTake(), static_cast<size_t>(std::max(count, 1))});
    if (n > 0) return Took(reply, n, left, names_[who], ms);
    CHECK_MESSAGE(reply == "(nil)", reply << log_);
  }

  // Some leases, mostly ones that are there, and what they are called.
  std::vector<int64_t> Some(std::string* words) {
    std::vector<int64_t> numbers;
    int n = 1 + Pick(3);
    *words = "IDS " + std::to_string(n);
    for (; n > 0; --n) {
      if (ids_.empty() || Pick(12) == 0) {
        *words += Pick(2) ? " nonsense" : " 1000000-1";
        continue;
      }
      auto it = ids_.begin();
      if (m_.leases.empty() || Pick(6) == 0) {
        std::advance(it, Pick(static_cast<int>(ids_.size())));
      } else {
        auto l = m_.leases.begin();
        std::advance(l, Pick(static_cast<int>(m_.leases.size())));
        it = ids_.find(l->first);
      }
      *words += " " + it->second;
      numbers.push_back(it->first);
    }
    std::sort(numbers.rbegin(), numbers.rend());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::erase_if(numbers, [&](int64_t number) { return !m_.leases.count(number); });
    return numbers;
  }
  void Ack() {
    std::string words;
    std::vector<int64_t> numbers = Some(&words);
    for (int64_t number : numbers) m_.leases.erase(number);
    Same("LLEASE ACK q " + words, Int(static_cast<int64_t>(numbers.size())));
  }
  void Nack() {
    static const char* modes[] = {"SILENT", "FAIL", "FAIL", "FATAL"};
    std::string words, mode = modes[Pick(4)];
    std::vector<int64_t> numbers = Some(&words);
    int64_t delay = Pick(3) ? -1 : Pick(3) * 40;
    for (int64_t number : numbers) {
      if (mode == "SILENT") m_.Release(number, delay);
      if (mode == "FAIL") m_.Fail(number, m_.now, delay);
      if (mode == "FATAL") m_.GiveUp(number, m_.now);
    }
    m_.PushLetters();
    if (delay >= 0) words += " DELAY " + std::to_string(delay);
    Same("LLEASE NACK q " + mode + " " + words, Int(static_cast<int64_t>(numbers.size())));
  }
  void Touch() {
    std::string words;
    int64_t ms = 1 + Pick(200), touched = 0;
    for (int64_t number : Some(&words)) {
      Leased& l = m_.leases[number];
      if (l.in != In::kHeld) continue;
      l.since = m_.now;
      l.due = m_.now + ms;
      ++touched;
    }
    Same("LLEASE TOUCH q " + std::to_string(ms) + " " + words, Int(touched));
  }

  void Pop() {
    bool left = Pick(2);
    bool none = m_.list.empty() || m_.MayTake() == 0;
    int what = Pick(3);
    if (what == 0) {  // moved: to itself, or away
      bool self = Pick(2), to_left = Pick(2);
      std::string command = std::string("LMOVE q ") + (self ? "q " : "other ") +
                            (left ? "LEFT " : "RIGHT ") + (to_left ? "LEFT" : "RIGHT");
      if (none) return Same(command, "(nil)");
      std::string text = m_.Pop(left).text;
      if (self) m_.Push(to_left, {text, 0});
      m_.Pay(1);
      Same(command, "\"" + text + "\"");
      c_("DEL other");
      return;
    }
    std::string command = left ? "LPOP q" : "RPOP q";
    size_t count = 1;
    if (what == 1) command += " " + std::to_string(count = static_cast<size_t>(1 + Pick(3)));
    if (none) return Same(command, "(nil)");
    count = std::min({count, m_.list.size(), m_.MayTake()});
    std::string texts;
    for (size_t i = 0; i < count; ++i) texts += (i ? ", \"" : "\"") + m_.Pop(left).text + "\"";
    m_.Pay(count);
    Same(command, what == 1 ? "[" + texts + "]" : texts);
  }

  // Positions change, and what is remembered of elements must go with them.
  void Edit() {
    int size = static_cast<int>(m_.list.size());
    auto find = [&](const std::string& text) {
      return std::find_if(m_.list.begin(), m_.list.end(),
                          [&](const Element& e) { return e.text == text; });
    };
    std::string text = Text(), pivot = Text();
    switch (Pick(4)) {
      case 0: {
        if (size == 0) return Same("LINSERT q BEFORE a b", "(integer) 0");
        bool before = Pick(2);
        std::string command = std::string("LINSERT q ") + (before ? "BEFORE " : "AFTER ");
        auto at = find(pivot);
        if (at == m_.list.end()) return Same(command + pivot + " " + text, "(integer) -1");
        if (!m_.Room(1)) return Same(command + pivot + " " + text, kFull);
        m_.list.insert(before ? at : at + 1, Element{text, 0});
        return Same(command + pivot + " " + text, Int(size + 1));
      }
      case 1: {
        if (size == 0 || Pick(2)) {
          if (Pick(3)) return;
          int64_t removed = 0;
          for (auto at = find(text); at != m_.list.end(); at = find(text)) {
            m_.list.erase(at);
            ++removed;
          }
          return Same("LREM q 0 " + text, Int(removed));
        }
        int at = Pick(size);
        m_.list[static_cast<size_t>(at)] = {text, 0};
        return Same("LSET q " + std::to_string(at) + " " + text, "OK");
      }
      case 2: {
        if (Pick(4)) return;
        int from = Pick(3), to = size - 1 - Pick(3);
        std::deque<Element> kept;
        for (int i = from; i <= to; ++i) kept.push_back(m_.list[static_cast<size_t>(i)]);
        m_.list = kept;
        return Same("LTRIM q " + std::to_string(from) + " " + std::to_string(to - size), "OK");
      }
      default: {
        // So often at one place that rows must make room.
        auto at = find(pivot);
        if (at == m_.list.end() || m_.rules.max_length || size > 60 || Pick(4)) return;
        log_ += "\n# LINSERT q AFTER " + pivot + ", twenty times";
        for (int i = 0; i < 20; ++i) {
          c_("LINSERT q AFTER " + pivot + " z");
          m_.list.insert(find(pivot) + 1, Element{"z", 0});
        }
      }
    }
  }

  // Other names, other databases, and back; a copy.
  void Carry() {
    if (m_.list.empty()) return;
    switch (Pick(4)) {
      case 0:
        Same("RENAME q p", "OK");
        server_.Turn();
        return Same("RENAME p q", "OK");
      case 1:
        Same("MOVE q 1", "(integer) 1");
        c_("SELECT 1");
        server_.Turn();
        Same("MOVE q 0", "(integer) 1");
        c_("SELECT 0");
        return;
      case 2:
        Same("SWAPDB 0 1", "OK");
        server_.Turn();
        return Same("SWAPDB 0 1", "OK");
      default: {
        std::string settings = c_("LLEASE POLICY q");
        settings = settings.substr(0, settings.find("\"in-flight\""));
        Same("COPY q p", "(integer) 1");
        CHECK(c_("LRANGE p 0 -1") == c_("LRANGE q 0 -1"));
        std::string none =
            "\"in-flight\", (integer) 0, \"waiting\", (integer) 0, \"dead\", (integer) 0, "
            "\"redelivered\", (integer) 0, \"dead-lettered\", (integer) 0]";
        CHECK(c_("LLEASE POLICY p") == settings + none);
        Same("DEL p", "(integer) 1");
      }
    }
  }
  void Drop() {
    bool flush = Pick(2);
    bool there = !m_.list.empty();
    m_.list.clear();
    m_.leases.clear();
    m_.rules = Rules();
    m_.redelivered = m_.dead_lettered = 0;
    if (flush) m_.letters.clear();
    flush ? Same("FLUSHDB", "OK") : Same("DEL q", Int(there));
  }
  void Advance() {
    int64_t ms = Pick(4) == 0 ? Pick(400) : Pick(60);
    log_ += "\n# " + std::to_string(ms) + " ms";
    m_.Advance(ms);
    server_.AdvanceMs(ms);
  }
  void Rule() {
    Rules& r = m_.rules;
    r.backoff.clear();
    for (int n = Pick(3); n > 0; --n) r.backoff.push_back(Pick(80));
    r.max_deliveries = Pick(2) ? 0 : 1 + Pick(4);
    r.dead_letter = Pick(3) != 0;
    r.tokens = Pick(3) ? 0 : 1 + Pick(3);
    r.per_ms = r.tokens ? 100 : 0;
    r.burst = r.tokens ? 1 + Pick(4) : 0;
    r.max_length = Pick(3) ? 0 : 3 + Pick(8);
    if (Pick(4) == 0) r = Rules();
    m_.Fill();
    std::string command = "LCFGSET q BACKOFF " + std::to_string(r.backoff.size());
    for (int64_t ms : r.backoff) command += " " + std::to_string(ms);
    command += " MAXDELIVERIES " + std::to_string(r.max_deliveries) + " DEADLETTER " +
               (r.dead_letter ? "d" : "''") + " MAXLEN " + std::to_string(r.max_length) + " RATE " +
               std::to_string(r.tokens) + " " + std::to_string(r.per_ms);
    if (r.tokens) command += " BURST " + std::to_string(r.burst);
    Same(command, "OK");
  }

  // ---- one that waits
  void Wait() {
    if (waiter_) return;
    waiter_ = std::make_unique<TestClient>(&server_);
    waits_left_ = Pick(2);
    std::string command =
        std::string("BLMPOP 0 1 q ") + (waits_left_ ? "LEFT" : "RIGHT") + " LEASE 77";
    log_ += "\nwaiter> " + command;
    std::string reply = (*waiter_)(command);
    if (!m_.list.empty() && m_.MayTake() > 0) {
      Took(reply, 1, waits_left_, "", 77);
      waiter_.reset();
    } else {
      CHECK_MESSAGE(reply == "(blocked)", reply << log_);
    }
  }
  void ServeWaiter() {
    if (!waiter_) return;
    std::string reply = waiter_->Take();
    if (m_.list.empty() || m_.MayTake() == 0) {
      CHECK_MESSAGE(reply == "(blocked)", reply << log_);
      return;
    }
    REQUIRE_MESSAGE(reply != "(blocked)", "the waiter was not woken" << log_);
    Took(reply, 1, waits_left_, "", 77);
    if (Pick(2)) {
      // Its connection turns out to be gone.
      log_ += "\n# the waiter is gone";
      auto [number, l] = *m_.leases.rbegin();
      m_.redelivered -= l.element.deliveries > 1;
      m_.Return(number, l.element.deliveries - 1);
      if (m_.rules.tokens) m_.Refund();
    } else {
      waiter_->session().put_back.reset();
    }
    waiter_.reset();
    if (Pick(3) == 0) Reload();
  }

  std::mt19937_64 random_;
  TestServer server_;
  TestClient c_{&server_};
  std::vector<std::unique_ptr<TestClient>> workers_;
  std::vector<std::string> names_;
  std::unique_ptr<TestClient> waiter_;
  bool waits_left_ = true;
  Model m_;
  std::map<int64_t, std::string> ids_;
  std::string log_;
};

}  // namespace

TEST_CASE("a list with leases is what its model is") {
  const char* more = std::getenv("SEEDS");
  uint64_t seeds = more ? std::strtoull(more, nullptr, 10) : 60;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Pair pair(seed);
    for (int i = 0; i < 150; ++i) {
      pair.Step();
      if (i % 10 == 0) pair.Reload();
      pair.Check();
    }
    pair.Finish();
  }
}
