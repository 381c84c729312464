// A stream with staged entries against a model of one: the same random commands and clock moves to
// both, every reply compared, and after each step all that can be seen of it.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

using Id = std::pair<int64_t, int64_t>;

std::string Text(Id id) {
  return "\"" + std::to_string(id.first) + "-" + std::to_string(id.second) + "\"";
}
std::string Plain(Id id) { return std::to_string(id.first) + "-" + std::to_string(id.second); }
std::string Int(int64_t n) { return "(integer) " + std::to_string(n); }

struct Entry {
  std::string value;
  bool prepared = false, committed = false;
  int64_t at = 0;  // due; or when it was staged or asked about last
  int64_t checks = 0;
  int64_t delay = 0, until = 0;  // of a prepared one
  int64_t max_length = -1;       // trimmed to at its release
};

// As simple as can be: maps that are searched from end to end.
class Model {
 public:
  int64_t now = 1'700'000'000'000;
  int64_t timeout = 6000, most_checks = 15, limit = 0;
  std::map<Id, std::string> stream;
  std::map<Id, Entry> staged;
  std::map<Id, std::pair<Id, int64_t>> entered;            // handle -> id, until when it is known
  std::map<std::string, std::pair<Id, int64_t>> messages;  // IDMP: the answer, until when
  Id last{0, 0}, last_handle{-1, 0};

  static Id Next(Id last, int64_t now) {
    return now > last.first ? Id{now, 0} : Id{last.first, last.second + 1};
  }
  size_t Backlog() const { return stream.size() + staged.size(); }

  Id Add(const std::string& value, int64_t max_length) {
    last = Next(last, now);
    stream[last] = value;
    if (max_length >= 0) {
      while (static_cast<int64_t>(stream.size()) > max_length) stream.erase(stream.begin());
    }
    return last;
  }
  Id Stage(const Entry& entry) {
    last_handle = Next(last_handle, now);
    staged[last_handle] = entry;
    return last_handle;
  }
  Id Enter(Id handle) {
    Entry e = staged[handle];
    staged.erase(handle);
    Id id = Add(e.value, e.max_length);
    entered[handle] = {id, now + 3'600'000};
    return id;
  }
  std::string Commit(Id handle) {
    auto it = staged.find(handle);
    if (it == staged.end()) {
      auto done = entered.find(handle);
      return done == entered.end() ? "(nil)" : Text(done->second.first);
    }
    Entry& e = it->second;
    if (e.committed) return Text(handle);
    int64_t due = e.until ? e.until : now + e.delay;
    if (!e.prepared || due <= now) return Text(Enter(handle));
    e.prepared = false;
    e.committed = true;
    e.at = due;
    return Text(handle);
  }
  int64_t Discard(Id handle) {
    if (staged.erase(handle)) return 1;
    return entered.count(handle) ? 2 : -1;
  }
  // What the next claim would ask about, oldest first.
  std::vector<Id> OldEnough(int64_t min_age) const {
    std::vector<Id> old;
    for (auto& [handle, e] : staged) {
      bool in_time = now - e.at >= std::max(min_age, timeout);
      if (e.prepared && in_time && e.checks < most_checks) old.push_back(handle);
    }
    std::stable_sort(old.begin(), old.end(),
                     [&](Id a, Id b) { return staged.at(a).at < staged.at(b).at; });
    return old;
  }
  std::string Claim(int64_t min_age, size_t count) {
    std::vector<Id> old = OldEnough(min_age);
    old.resize(std::min(old.size(), count));
    std::string reply;
    for (Id handle : old) {
      Entry& e = staged[handle];
      reply += (reply.empty() ? "[" : ", [") + Text(handle) + ", [\"f\", \"" + e.value + "\"], " +
               Int(now - e.at) + ", " + Int(e.checks) + "]";
      e.at = now;
      ++e.checks;
    }
    return "[" + reply + "]";
  }
  // Does what is due at this moment, earliest first.
  void Fire() {
    while (true) {
      const Id* first = nullptr;
      int64_t first_at = 0;
      for (auto& [handle, e] : staged) {
        if (!e.prepared && e.at <= now && (!first || e.at < first_at)) {
          first = &handle;
          first_at = e.at;
        }
      }
      if (!first) break;
      Enter(Id(*first));
    }
    std::erase_if(staged, [&](auto& item) {
      const Entry& e = item.second;
      return e.prepared && e.checks >= most_checks && e.at + timeout <= now;
    });
    std::erase_if(entered, [&](auto& item) { return item.second.second <= now; });
  }
};

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {
    if (Pick(2)) Configure();
  }

  void Step() {
    switch (Pick(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
        Add();
        break;
      case 4:
      case 5:
        Commit();
        break;
      case 6:
        Discard();
        break;
      case 7:
      case 8:
        Claim();
        break;
      case 9:
        Pick(4) ? Claim() : Configure();
        break;
      case 10:
        Pick(3) ? Wait() : Carry();
        break;
      case 11:
        Pick(12) ? Delete() : Drop();
        break;
      default:
        Advance();
    }
    ServeWaiter();
  }

  void Check() {
    std::string entries, staged;
    for (auto& [id, value] : m_.stream) {
      entries += (entries.empty() ? "[" : ", [") + Text(id) + ", [\"f\", \"" + value + "\"]]";
    }
    Quietly("XRANGE s - +", "[" + entries + "]");
    Quietly("XLEN s", Int(static_cast<int64_t>(m_.stream.size())));
    for (auto& [handle, e] : m_.staged) {
      staged += (staged.empty() ? "[" : ", [") + Text(handle) +
                (e.prepared ? ", \"prepared\", " : ", \"delayed\", ") +
                Int(e.at + (e.prepared ? m_.timeout : 0)) + ", " + Int(e.checks) + ", [\"f\", \"" +
                e.value + "\"]]";
    }
    Quietly("XSTAGE RANGE s - +", "[" + staged + "]");
    for (auto& [handle, outcome] : m_.entered) {
      Quietly("XSTAGE DISCARD s IDS 1 " + Plain(handle), "[(integer) 2]");
    }
  }

  // What the rows say is what was thought; and when all is done, nothing is left of it.
  void Reload() {
    server_.Turn();
    REQUIRE(server_.store().keys().Load().ok());
  }
  void Finish() {
    waiter_.reset();
    Advance(40'000'000);
    for (auto& [handle, e] : std::map(m_.staged)) {
      Same("XSTAGE DISCARD s IDS 1 " + Plain(handle), "[" + Int(m_.Discard(handle)) + "]");
    }
    Advance(40'000'000);
    Env* env = &server_.store().env();
    for (Table table : {Table::kStage, Table::kStageDue, Table::kTimer}) {
      CHECK_MESSAGE(!Cursor(env, table).First(), "table " << static_cast<int>(table) << log_);
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

  void Add() {
    Entry e;
    e.value = std::string(static_cast<size_t>(Pick(3)), 'x') + std::to_string(Pick(1000));
    std::string command = "XADD s", words, message;
    if (Pick(4) == 0) words += " MAXLEN " + std::to_string(e.max_length = Pick(6));
    if (Pick(6) == 0) {
      message = std::to_string(Pick(30));
      words += " IDMP p " + message;
    }
    bool prepare = Pick(3) == 0;
    int64_t delay = 0, until = 0;
    if (prepare) words += " PREPARE";
    switch (Pick(prepare ? 5 : 3)) {
      case 0:
        words += " DELAY " + std::to_string(delay = Pick(5) * 400);
        break;
      case 1:
        until = m_.now + (Pick(6) - 1) * 500;
        words += " DELAYUNTIL " + std::to_string(until);
        break;
      default:
        break;
    }
    command += words + " * f " + e.value;
    if (auto known = m_.messages.find(message);
        known != m_.messages.end() && known->second.second > m_.now) {
      return Same(command, Text(known->second.first));
    }
    bool stages = prepare || delay > 0 || until > m_.now;
    // What would be left.
    int64_t stays = static_cast<int64_t>(m_.stream.size()) + 1;
    if (!stages && e.max_length >= 0) stays = std::min(stays, e.max_length);
    if (m_.limit && stays + static_cast<int64_t>(m_.staged.size()) > m_.limit) {
      return Same(command, "(error) BACKLOG queue limit reached");
    }
    Id id;
    if (!stages) {
      id = m_.Add(e.value, e.max_length);
    } else {
      e.prepared = prepare;
      e.at = prepare ? m_.now : until ? until : m_.now + delay;
      e.delay = delay;
      e.until = until;
      id = m_.Stage(e);
    }
    if (!message.empty()) m_.messages[message] = {id, m_.now + 100'000};
    there_ = true;
    handles_.push_back(id);
    Same(command, Text(id));
  }

  // Handles, mostly ones that are staged.
  std::vector<Id> Some() {
    std::vector<Id> some;
    for (int n = 1 + Pick(3); n > 0; --n) {
      if (!m_.staged.empty() && Pick(4)) {
        auto it = m_.staged.begin();
        std::advance(it, Pick(static_cast<int>(m_.staged.size())));
        some.push_back(it->first);
      } else if (!handles_.empty() && Pick(8)) {
        some.push_back(handles_[static_cast<size_t>(Pick(static_cast<int>(handles_.size())))]);
      } else {
        some.push_back({5, 5});
      }
    }
    return some;
  }
  static std::string Words(const std::vector<Id>& handles) {
    std::string words = " IDS " + std::to_string(handles.size());
    for (Id handle : handles) words += " " + Plain(handle);
    return words;
  }
  void Commit() {
    std::string expected;
    std::vector<Id> handles = Some();
    for (Id h : handles) expected += (expected.empty() ? "" : ", ") + m_.Commit(h);
    Same("XSTAGE COMMIT s" + Words(handles), "[" + expected + "]");
  }
  void Discard() {
    std::string expected;
    std::vector<Id> handles = Some();
    for (Id h : handles) expected += (expected.empty() ? "" : ", ") + Int(m_.Discard(h));
    Same("XSTAGE DISCARD s" + Words(handles), "[" + expected + "]");
  }
  void Claim() {
    int64_t min_age = Pick(3) ? 0 : Pick(8000);
    int count = Pick(4);
    std::string command = "XSTAGE CLAIM s " + std::to_string(min_age);
    if (count) command += " COUNT " + std::to_string(count);
    Same(command, m_.Claim(min_age, count ? static_cast<size_t>(count) : 100));
  }

  void Configure() {
    if (!there_) return Same("XCFGSET s STAGE-TIMEOUT 5", "(error) ERR no such key");
    std::string command = "XCFGSET s";
    int what = 1 + Pick(7);
    if (what & 1) {
      int64_t ms = Pick(3) * 700;
      m_.timeout = ms ? ms : 6000;
      command += " STAGE-TIMEOUT " + std::to_string(ms);
    }
    if (what & 2) {
      // Fewer checks act when an entry is old enough to be asked about: see Lowered.
      int64_t n = std::max<int64_t>(Pick(4), Checks());
      m_.most_checks = n ? n : 15;
      command += " STAGE-CHECKS " + std::to_string(n);
    }
    if (what & 4) {
      m_.limit = Pick(2) ? 0 : 1 + Pick(12);
      command += " MAXBACKLOG " + std::to_string(m_.limit);
    }
    Same(command, "OK");
    m_.Fire();
    server_.Turn();
  }
  // More than anything staged has been asked about.
  int64_t Checks() const {
    int64_t most = 0;
    for (auto& [handle, e] : m_.staged) most = std::max(most, e.checks);
    return most ? most + 1 : 0;
  }

  void Delete() {
    if (m_.stream.empty()) return Same("XDEL s 1-1", "(integer) 0");
    if (Pick(2)) {
      Id id = m_.stream.begin()->first;
      m_.stream.erase(id);
      return Same("XDEL s " + Plain(id), "(integer) 1");
    }
    int64_t n = Pick(4);
    int64_t gone = std::max<int64_t>(0, static_cast<int64_t>(m_.stream.size()) - n);
    for (int64_t i = 0; i < gone; ++i) m_.stream.erase(m_.stream.begin());
    Same("XTRIM s MAXLEN " + std::to_string(n), Int(gone));
  }
  void Drop() {
    log_ += "\nDEL s";
    c_("DEL s");
    waiter_.reset();
    int64_t now = m_.now;
    m_ = Model();
    m_.now = now;
    there_ = false;
  }
  // The stream goes elsewhere and comes back.
  void Carry() {
    if (!there_) return;
    waiter_.reset();
    switch (Pick(4)) {
      case 0:
        Same("RENAME s other", "OK");
        Same("RENAME other s", "OK");
        break;
      case 1:
        Same("MOVE s 3", "(integer) 1");
        Same("SWAPDB 0 3", "OK");
        break;
      case 2:
        Same("COPY s other", "(integer) 1");
        Same("RENAME other s", "OK");
        break;
      default:
        Reload();
    }
  }

  void Advance(int64_t ms = 0) {
    if (!ms) ms = Pick(20) ? Pick(1500) : 3'600'000;
    log_ += "\n# " + std::to_string(ms) + " ms later";
    // Whatever has its own moment happens at it.
    while (ms > 0) {
      int64_t step = ms;
      for (auto& [handle, e] : m_.staged) {
        bool asked_out = e.prepared && e.checks >= m_.most_checks;
        int64_t at = e.prepared ? e.at + m_.timeout : e.at;
        if ((!e.prepared || asked_out) && at > m_.now) step = std::min(step, at - m_.now);
      }
      m_.now += step;
      ms -= step;
      m_.Fire();
      server_.AdvanceMs(step);
      if (ms > 0) ServeWaiter();
    }
  }

  // ---- one that waits
  void Wait() {
    if (waiter_) return;
    waiter_ = std::make_unique<TestClient>(&server_);
    waits_for_ = Pick(2) * 5000;
    std::string command = "XSTAGE CLAIM s " + std::to_string(waits_for_) + " BLOCK 0";
    log_ += "\nwaiter> " + command;
    Answered((*waiter_)(command));
  }
  void ServeWaiter() {
    if (waiter_) Answered(waiter_->Take());
  }
  // Time has moved further than to the moment at which it was woken; the model is asked afterwards.
  void Answered(const std::string& reply) {
    if (m_.OldEnough(waits_for_).empty()) {
      CHECK_MESSAGE(reply == "(blocked)", reply << log_);
      return;
    }
    std::string expected = m_.Claim(waits_for_, 100);
    CHECK_MESSAGE(reply == expected, "expected " << expected << ", got " << reply << log_);
    waiter_.reset();
  }

  std::mt19937_64 random_;
  TestServer server_;
  TestClient c_{&server_};
  std::unique_ptr<TestClient> waiter_;
  int64_t waits_for_ = 0;
  bool there_ = false;
  Model m_;
  std::vector<Id> handles_;
  std::string log_;
};

}  // namespace

TEST_CASE("a stream with staged entries is what its model is") {
  const char* more = std::getenv("SEEDS");
  uint64_t seeds = more ? std::strtoull(more, nullptr, 10) : 120;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Pair pair(seed);
    for (int i = 0; i < 100; ++i) {
      pair.Step();
      if (i % 10 == 0) pair.Reload();
      pair.Check();
    }
    pair.Finish();
  }
}
