// A group with a policy against a model of one: the same random commands and clock moves to both,
// every reply compared, and after each step that every entry is in exactly one place, that no value
// is in flight twice, and that the server's counters say so.
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

constexpr int64_t kRejected = INT64_MAX;

enum class In { kFlight, kLine, kWait, kOverdue, kDead, kParked };

struct Given {
  In in = In::kFlight;
  std::string owner;  // empty: nobody
  int64_t delivered = 0, count = 0, real = 0;
  int64_t at = 0;     // kWait, kOverdue: the moment; kLine: the number
  std::string value;  // it stands for this value, or waits for it
};

struct Rules {
  int64_t visibility = 0;
  std::vector<int64_t> backoff;
  int64_t max_deliveries = 0, max_pending = 0, tokens = 0, per_ms = 0, burst = 0;
  bool dead_letter = false, order = false, filter = false;
};

// As simple as can be: maps that are searched from end to end.
class Model {
 public:
  Rules rules;
  int64_t now = 1'700'000'000'000;
  struct Fields {
    std::string k, t;
  };
  std::map<int, Fields> stream;
  std::map<int, Given> given;
  std::map<int, bool> aside;  // passed over; true: its turn has come
  std::map<std::string, int> stands;
  std::vector<std::string> letters;
  int cursor = 0, last = 0;
  int64_t line = 0, bucket = 0, bucket_at = 0;
  uint64_t redelivered = 0, filtered = 0;
  bool unread_deleted = false;

  std::string Text(int id) const {
    const Fields& f = stream.at(id);
    return (f.k == "-" ? "[\"n\", \"" : "[\"k\", \"") + f.k + "\", \"t\", \"" + f.t + "\"]";
  }
  // An entry with "-" does not have the field.
  std::string Value(int id) const {
    return rules.order && stream.at(id).k != "-" ? stream.at(id).k : "";
  }
  bool AtLimit(const Given& g) const {
    return rules.max_deliveries && g.count >= rules.max_deliveries;
  }
  int64_t Backoff(int64_t count) const {
    if (rules.backoff.empty()) return 0;
    size_t k = static_cast<size_t>(std::max<int64_t>(count - 1, 0));
    return rules.backoff[std::min(k, rules.backoff.size() - 1)];
  }

  void Free(const std::string& value, int id) {
    auto it = stands.find(value);
    if (it == stands.end() || it->second != id) return;
    stands.erase(it);
    while (true) {
      int next = 0;
      for (auto& [i, turn] : aside) {
        if (!turn && value_of_aside[i] == value && (!next || i < next)) next = i;
      }
      for (auto& [i, g] : given) {
        if (g.in == In::kParked && g.value == value && (!next || i < next)) next = i;
      }
      if (!next) return;
      if (aside.count(next) && !stream.count(next)) {
        aside.erase(next);
        continue;
      }
      stands[value] = next;
      if (aside.count(next)) {
        aside[next] = true;
      } else {
        Line(next);
      }
      return;
    }
  }
  void Remove(int id) {
    std::string value = given[id].value;
    bool parked = given[id].in == In::kParked;
    given.erase(id);
    if (!value.empty() && !parked) Free(value, id);
  }
  void Line(int id) {
    Given& g = given[id];
    g.in = In::kLine;
    g.owner.clear();
    g.delivered = 0;
    g.at = ++line;
  }
  void GiveUp(int id, const std::string& reason, bool rejected) {
    if (!stream.count(id)) return Remove(id);
    Given& g = given[id];
    int64_t real = g.count == kRejected ? g.real : g.count;
    if (rules.dead_letter) {
      letters.push_back(Text(id).substr(0, Text(id).size() - 1) +
                        ", \"dlq-stream\", \"s\", \"dlq-group\", \"g\", \"dlq-id\", \"" +
                        std::to_string(id) + "-1\", \"dlq-reason\", \"" + reason +
                        "\", \"dlq-deliveries\", \"" + std::to_string(real) + "\"]");
      return Remove(id);
    }
    std::string value = g.value;
    bool parked = g.in == In::kParked;
    g.in = In::kDead;
    g.value.clear();
    if (rejected) g.real = real, g.count = kRejected;
    if (!value.empty() && !parked) Free(value, id);
  }

  // ---- time
  void Advance(int64_t ms) {
    now += ms;
    while (true) {
      int64_t first = INT64_MAX;
      int id = 0;
      bool held = false;
      for (auto& [i, g] : given) {
        if (g.in == In::kWait && g.at < first) first = g.at, id = i;
      }
      // Of those held, the earliest delivered, the lowest id; at the same moment who waits is
      // first.
      for (auto& [i, g] : given) {
        if (g.in != In::kFlight || !rules.visibility) continue;
        if (g.delivered + rules.visibility < first) {
          first = g.delivered + rules.visibility, id = i, held = true;
        }
      }
      if (!id || first > now) return;
      Fall(id, held, first);
    }
  }
  bool HasPolicy() const {
    return rules.visibility || !rules.backoff.empty() || rules.max_deliveries ||
           rules.max_pending || rules.tokens || rules.dead_letter || rules.order || rules.filter;
  }
  void Fall(int id, bool held, int64_t moment) {
    Given& g = given[id];
    if (HasPolicy() && !stream.count(id)) return Remove(id);
    if (!held && g.owner.empty()) return Line(id);
    if (held && AtLimit(g)) return GiveUp(id, "max-deliveries", false);
    int64_t wait = held ? Backoff(g.count) : 0;
    g.in = wait ? In::kWait : In::kOverdue;
    g.at = moment + wait;
  }

  // ---- reading
  int64_t Bucket() const {
    return std::min(rules.burst * rules.per_ms, bucket + (now - bucket_at) * rules.tokens);
  }
  bool HasToken() const { return !rules.tokens || Bucket() >= rules.per_ms; }
  bool AtCap() const {
    int64_t live = 0;
    for (auto& [i, g] : given) live += g.in != In::kDead;
    return rules.max_pending && live >= rules.max_pending;
  }
  // Makes a given entry stand for its value; false when another does.
  bool Order(int id) {
    std::string value = Value(id);
    if (!value.empty()) {
      auto it = stands.find(value);
      if (it != stands.end() && it->second != id) return false;
      stands[value] = id;
    }
    std::string old = given[id].value;
    given[id].value = value;
    if (!old.empty() && old != value) Free(old, id);
    return true;
  }
  struct Reading {
    std::string who, out;
    int count, shown = 0;
    bool claim, no_ack;
  };
  bool Room(const Reading& r) const { return (!r.count || r.shown < r.count) && HasToken(); }
  void Show(Reading* r, int id, int64_t idle, int64_t count) {
    if (rules.tokens) bucket = Bucket() - rules.per_ms, bucket_at = now;
    r->out += (r->shown++ ? ", [\"" : "[\"") + std::to_string(id) + "-1\", " + Text(id);
    if (r->claim) {
      r->out += ", (integer) " + std::to_string(idle) + ", (integer) " + std::to_string(count);
    }
    r->out += "]";
  }
  void GiveAgain(Reading* r, int id) {
    Given& g = given[id];
    Show(r, id, now - g.delivered, g.count);
    if (HasPolicy() && g.count > 0) ++redelivered;
    if (g.count != kRejected) ++g.count;
    g.in = In::kFlight;
    g.owner = r->who;
    g.delivered = now;
  }
  void GiveNew(Reading* r, int id) {
    Show(r, id, 0, 0);
    std::string value = Value(id);
    if (r->no_ack) return value.empty() ? void() : Free(value, id);
    given[id] = Given{In::kFlight, r->who, now, 1, 0, 0, value};
  }
  std::string Read(Reading r, int64_t min_idle) {
    if (r.claim) {
      std::vector<int> found;
      auto collect = [&](auto in, auto key) {
        std::vector<std::pair<std::pair<int64_t, int>, int>> some;
        for (auto& [i, g] : given) {
          if (in(g)) some.push_back({{key(g), g.in == In::kFlight}, i});
        }
        std::sort(some.begin(), some.end());
        for (auto& [k, i] : some) {
          if (stream.count(i)) found.push_back(i);
        }
      };
      collect([](const Given& g) { return g.in == In::kLine; },
              [](const Given& g) { return g.at; });
      collect(
          [&](const Given& g) {
            bool somebodys = !g.owner.empty() && g.in != In::kDead && g.in != In::kParked;
            return somebodys && now - g.delivered >= min_idle;
          },
          [](const Given& g) { return g.delivered; });
      if (!HasPolicy() && r.count && found.size() > static_cast<size_t>(r.count)) {
        found.resize(static_cast<size_t>(r.count));
      }
      for (int id : found) {
        if (!Room(r)) break;
        if (AtLimit(given[id])) {
          GiveUp(id, "max-deliveries", false);
        } else if (Order(id)) {
          GiveAgain(&r, id);
        }
      }
    } else if (HasPolicy()) {
      while (Room(r)) {
        int next = 0;
        for (In in : {In::kLine, In::kOverdue}) {
          if (next) break;
          for (auto& [i, g] : given) {
            if (g.in == in && (!next || g.at < given[next].at)) next = i;
          }
        }
        if (!next) break;
        if (!stream.count(next)) {
          Remove(next);
        } else if (AtLimit(given[next])) {
          GiveUp(next, "max-deliveries", false);
        } else if (!Order(next)) {
          Given& g = given[next];
          g.in = In::kParked, g.owner.clear(), g.delivered = 0, g.value = Value(next);
        } else {
          GiveAgain(&r, next);
        }
      }
    }
    while (Room(r) && !AtCap()) {
      int next = 0;
      for (auto& [i, turn] : aside) {
        if (turn && !next) next = i;
      }
      if (!next) break;
      std::string old = value_of_aside[next];
      aside.erase(next);
      if (!stream.count(next)) {
        Free(old, next);
        continue;
      }
      GiveNew(&r, next);
    }
    for (auto it = stream.upper_bound(cursor); it != stream.end() && Room(r) && !AtCap(); ++it) {
      int id = it->first;
      cursor = id;
      if (rules.filter && it->second.t != "yes") {
        ++filtered;
        continue;
      }
      std::string value = Value(id);
      if (!value.empty() && stands.count(value)) {
        aside[id] = false;
        value_of_aside[id] = value;
        continue;
      }
      if (!value.empty()) stands[value] = id;
      GiveNew(&r, id);
    }
    return r.shown ? "[[\"s\", [" + r.out + "]]]" : "(nil)";
  }

  std::string Nack(int id, const std::string& mode, int64_t delay) {
    auto it = given.find(id);
    if (it == given.end()) return "(integer) 0";
    Given& g = it->second;
    if (HasPolicy() && mode == "FATAL") return GiveUp(id, "rejected", true), "(integer) 1";
    int64_t count = g.count;
    if (mode == "FATAL") count = kRejected;
    if (mode == "SILENT" && count > 0 && count != kRejected) --count;
    Given counted = g;
    counted.count = count;
    if (HasPolicy() && AtLimit(counted)) return GiveUp(id, "max-deliveries", false), "(integer) 1";
    if (mode == "FATAL") g.real = g.count == kRejected ? g.real : g.count;
    g.count = count;
    if (g.in == In::kParked) return "(integer) 1";
    int64_t wait = delay >= 0 ? delay : mode == "FAIL" ? Backoff(count) : 0;
    Line(id);
    if (wait) --line, g.in = In::kWait, g.at = now + wait;
    return "(integer) 1";
  }

  void Leave(const std::string& who) {
    std::vector<int> mine;
    for (auto& [i, g] : given) {
      if (g.owner == who) mine.push_back(i);
    }
    for (int id : mine) {
      Given& g = given[id];
      if (!HasPolicy()) {
        Remove(id);
      } else if (g.in == In::kWait || g.in == In::kDead) {
        g.owner.clear();
        g.delivered = 0;
      } else {
        Line(id);
      }
    }
  }

  std::map<int, std::string> value_of_aside;
};

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {
    c_("XGROUP CREATE s g $ MKSTREAM");
    Rule();
  }

  void Step() {
    switch (Pick(14)) {
      case 0:
      case 1:
      case 2:
        return Add();
      case 3:
      case 4:
      case 5:
        return Read();
      case 6:
      case 7:
        return Ack();
      case 8:
      case 9:
        return Nack();
      case 10:
        return Pick(3) ? Advance() : Delete();
      case 11:
        return Pick(3) ? Advance() : Claim();
      case 12:
        return Pick(6) ? Advance() : Leave();
      default:
        return Pick(8) ? Advance() : Rule();
    }
  }

  void Check() {
    std::string pending;
    std::map<In, uint64_t> in;
    std::set<std::string> flying;
    for (auto& [id, g] : m_.given) {
      ++in[g.in];
      int64_t idle = g.owner.empty() ? -1 : std::max<int64_t>(m_.now - g.delivered, 0);
      pending += (pending.empty() ? "[\"" : ", [\"") + std::to_string(id) + "-1\", \"" + g.owner +
                 "\", (integer) " + std::to_string(idle) + ", (integer) " +
                 std::to_string(g.count) + "]";
      bool once = g.in != In::kFlight || g.value.empty() || flying.insert(g.value).second;
      CHECK_MESSAGE(once, "a value is in flight twice");
    }
    Same("XPENDING s g - + 100000", "[" + pending + "]");
    uint64_t turns = 0;
    for (auto& [id, turn] : m_.aside) {
      turns += turn;
      CHECK_MESSAGE(m_.given.count(id) == 0, "passed over and given out");
    }
    std::string info = c_("XINFO POLICY s g");
    auto says = [&](const char* name, uint64_t value) {
      std::string text = "\"" + std::string(name) + "\", (integer) " + std::to_string(value);
      CHECK_MESSAGE(info.find(text) != std::string::npos, text << " is not in " << info << log_);
    };
    says("in-flight", in[In::kFlight]);
    says("waiting", in[In::kWait]);
    says("parked", in[In::kParked] + m_.aside.size() - turns);
    says("dead", in[In::kDead]);
    says("redelivered", m_.redelivered);
    says("dead-lettered", m_.letters.size());
    says("filtered", m_.filtered);
    // Where Redis does not know a group's lag, nobody knows how much is ready.
    if (!m_.unread_deleted && info.find("\"ready\", (nil)") == std::string::npos) {
      uint64_t unread = 0;
      for (auto& [id, fields] : m_.stream) unread += id > m_.cursor;
      says("ready", in[In::kLine] + in[In::kOverdue] + turns + unread);
    }
    if (!m_.letters.empty()) {
      std::string last = c_("XREVRANGE d + - COUNT 1");
      CHECK_MESSAGE(last.find(m_.letters.back()) != std::string::npos, last << log_);
    }
  }

  // Everything is acknowledged: nothing may be left of it.
  void Finish() {
    m_.rules = Rules();
    c_("XGROUP CFGSET s g VISIBILITY 0 BACKOFF 0 MAXDELIVERIES 0 MAXPENDING 0 ORDERBY '' "
       "FILTER '' 0 RATE 0 0 DEADLETTER ''");
    c_("XGROUP SETID s g $");
    for (auto& [id, g] : m_.given) c_("XACK s g " + std::to_string(id) + "-1");
    server_.AdvanceMs(1'000'000);
    server_.AdvanceMs(1'000'000);
    for (Table table :
         {Table::kDue, Table::kOrder, Table::kPending, Table::kPendingByOwner, Table::kTimer}) {
      CHECK_FALSE(Cursor(&server_.store().env(), table).First());
    }
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  void Same(const std::string& command, const std::string& expected) {
    if (!command.starts_with("XPENDING")) log_ += "\n" + command;
    std::string reply = c_(command);
    CHECK_MESSAGE(reply == expected, "expected " << expected << " of " << command << ", got "
                                                 << reply << "\nafter" << log_);
  }
  std::string Id(int id) { return std::to_string(id) + "-1"; }
  int AnyGiven() {
    if (m_.given.empty() || Pick(10) == 0) return 1 + Pick(m_.last + 1);
    auto it = m_.given.begin();
    std::advance(it, Pick(static_cast<int>(m_.given.size())));
    return it->first;
  }
  std::string Who() { return std::string(1, static_cast<char>('a' + Pick(3))); }

  void Add() {
    int id = ++m_.last;
    static const char* values[] = {"x", "y", "z", "-"};
    Model::Fields fields{values[Pick(4)], Pick(4) ? "yes" : "no"};
    m_.stream[id] = fields;
    std::string name = fields.k == "-" ? "n" : "k";
    Same("XADD s " + Id(id) + " " + name + " " + fields.k + " t " + fields.t, "\"" + Id(id) + "\"");
  }
  void Read() {
    Model::Reading r{Who(), "", Pick(4), 0, Pick(5) == 0, Pick(12) == 0};
    int64_t idle = Pick(3) * 50;
    std::string command = "XREADGROUP GROUP g " + r.who;
    if (r.count) command += " COUNT " + std::to_string(r.count);
    if (r.claim) command += " CLAIM " + std::to_string(idle);
    if (r.no_ack) command += " NOACK";
    Same(command + " STREAMS s >", m_.Read(r, idle));
  }
  void Ack() {
    int id = AnyGiven();
    bool known = m_.given.count(id);
    if (known) m_.Remove(id);
    Same("XACK s g " + Id(id), known ? "(integer) 1" : "(integer) 0");
  }
  void Nack() {
    static const char* modes[] = {"SILENT", "FAIL", "FAIL", "FATAL"};
    int id = AnyGiven();
    std::string mode = modes[Pick(4)];
    int64_t delay = Pick(3) ? -1 : Pick(3) * 40;
    std::string command = "XNACK s g " + mode + " IDS 1 " + Id(id);
    if (delay >= 0) command += " DELAY " + std::to_string(delay);
    Same(command, m_.Nack(id, mode, delay));
  }
  void Claim() {
    int id = AnyGiven();
    std::string who = Who();
    std::string expected = "[]";
    if (m_.given.count(id) && !m_.stream.count(id)) {
      m_.Remove(id);
    } else if (m_.given.count(id)) {
      Given& g = m_.given[id];
      if (g.in == In::kParked || g.in == In::kDead) return;  // an operator's override of order
      g.in = In::kFlight;
      g.owner = who;
      g.delivered = m_.now;
      expected = "[\"" + Id(id) + "\"]";
    }
    Same("XCLAIM s g " + who + " 0 " + Id(id) + " JUSTID", expected);
  }
  void Delete() {
    int id = AnyGiven();
    bool there = m_.stream.erase(id) > 0;
    if (there && id > m_.cursor) m_.unread_deleted = true;
    if (there && id == m_.last) m_.unread_deleted = true;
    Same("XDEL s " + Id(id), there ? "(integer) 1" : "(integer) 0");
  }
  void Leave() {
    std::string who = Who();
    log_ += "\nXGROUP DELCONSUMER s g " + who;
    c_("XGROUP DELCONSUMER s g " + who);
    m_.Leave(who);
  }
  void Advance() {
    int64_t ms = Pick(4) == 0 ? Pick(400) : Pick(60);
    log_ += "\n# " + std::to_string(ms) + " ms";
    server_.AdvanceMs(ms);
    m_.Advance(ms);
  }
  // Order is set once: what changing it does is looked at elsewhere.
  void Rule() {
    Rules& r = m_.rules;
    bool first = log_.empty();
    r.visibility = Pick(4) ? 50 + Pick(100) : 0;
    r.backoff.clear();
    for (int n = Pick(3); n > 0; --n) r.backoff.push_back(Pick(80));
    r.max_deliveries = Pick(3) ? 0 : 1 + Pick(4);
    r.max_pending = Pick(3) ? 0 : 1 + Pick(4);
    r.dead_letter = Pick(3) != 0;
    r.filter = Pick(4) == 0;
    if (first) r.order = Pick(2);
    r.tokens = Pick(4) ? 0 : 1 + Pick(3);
    r.per_ms = r.tokens ? 100 : 0;
    r.burst = r.tokens ? 1 + Pick(4) : 0;
    m_.bucket = r.burst * r.per_ms;
    m_.bucket_at = m_.now;
    std::string command = "XGROUP CFGSET s g VISIBILITY " + std::to_string(r.visibility) +
                          " BACKOFF " + std::to_string(r.backoff.size());
    for (int64_t ms : r.backoff) command += " " + std::to_string(ms);
    command += " MAXDELIVERIES " + std::to_string(r.max_deliveries) + " MAXPENDING " +
               std::to_string(r.max_pending) + " DEADLETTER " + (r.dead_letter ? "d" : "''") +
               " FILTER t " + (r.filter ? "1 y*" : "0") + " RATE " + std::to_string(r.tokens) +
               " " + std::to_string(r.per_ms);
    if (r.tokens) command += " BURST " + std::to_string(r.burst);
    command += r.order ? " ORDERBY k" : " ORDERBY ''";
    Same(command, "OK");
  }

  std::mt19937_64 random_;
  TestServer server_;
  TestClient c_{&server_};
  Model m_;
  std::string log_;
};

}  // namespace

TEST_CASE("a group under a policy is what its model is") {
  const char* more = std::getenv("SEEDS");
  uint64_t seeds = more ? std::strtoull(more, nullptr, 10) : 60;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    Pair pair(seed);
    for (int i = 0; i < 150; ++i) {
      pair.Step();
      pair.Check();
    }
    pair.Finish();
  }
}
