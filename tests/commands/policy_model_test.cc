// A group with a policy against a model of one: the same random commands and clock moves to both,
// every reply compared, and after each step that every entry is in exactly one place, that no value
// is in flight twice, and that the server's counters say so.
#include "tests/commands/policy_model.h"

#include <cstdlib>
#include <random>
#include <set>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

std::string Int(int64_t n) { return "(integer) " + std::to_string(n); }

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed) {
    c_("XGROUP CREATE s g $ MKSTREAM");
    expiring_ = Pick(2);
    rewinding_ = Pick(3) == 0;
    Rule();
  }

  void Step() {
    switch (Pick(17)) {
      case 0:
        Turn(Pick(5) ? Time() : 0);
        break;
      case 1:
        Pick(3) ? Turn(Time()) : Quiet();
        break;
      case 2:
        Pick(2) ? Turn(Time()) : Block();
        break;
      case 3:
        Transaction();
        break;
      default:
        Command();
    }
    ServeReader();
  }

  void Check() {
    std::string pending;
    std::map<In, int64_t> in;
    std::set<std::string> flying;
    for (auto& [id, g] : m_.given) {
      ++in[g.in];
      int64_t idle = g.owner.empty() ? -1 : std::max<int64_t>(m_.now - g.delivered, 0);
      pending += (pending.empty() ? "[\"" : ", [\"") + m_.Name(id) + "\", \"" + g.owner + "\", " +
                 Int(idle) + ", " + Int(g.count) + "]";
      bool ordered = g.in == In::kFlight && !g.value.empty() && !g.out_of_order;
      bool once = !ordered || flying.insert(g.value).second;
      CHECK_MESSAGE(once, "a value is in flight twice" << log_);
    }
    Quietly("XPENDING s g - + 100000", "[" + pending + "]");
    Quietly("XLEN s", Int(static_cast<int64_t>(m_.stream.size())));
    int64_t turns = 0;
    for (auto& [id, a] : m_.aside) {
      turns += a.turn;
      CHECK_MESSAGE(m_.given.count(id) == 0, "passed over and given out" << log_);
    }
    std::string info = c_("XINFO POLICY s g");
    auto says = [&](const char* name, int64_t value) {
      std::string text = "\"" + std::string(name) + "\", " + Int(value);
      bool there = info.find(text + ",") != std::string::npos || info.ends_with(text + "]");
      CHECK_MESSAGE(there, text << " is not in " << info << log_);
    };
    says("in-flight", in[In::kFlight]);
    says("waiting", in[In::kWait]);
    says("parked", in[In::kParked] + static_cast<int64_t>(m_.aside.size()) - turns);
    says("dead", in[In::kDead]);
    says("redelivered", static_cast<int64_t>(m_.redelivered));
    says("dead-lettered", static_cast<int64_t>(m_.letters.size()));
    says("filtered", static_cast<int64_t>(m_.filtered));
    says("expired", static_cast<int64_t>(m_.expired));
    says("throttled-ms", m_.ThrottledMs());
    says("oldest-ms", m_.OldestMs());
    // Where Redis does not know a group's lag, nobody knows how much is ready.
    if (!m_.lag_is_vague && info.find("\"ready\", (nil)") == std::string::npos) {
      says("ready", in[In::kLine] + in[In::kOverdue] + turns + static_cast<int64_t>(m_.Unread()));
    }
    if (!m_.letters.empty()) {
      std::string last = c_("XREVRANGE d + - COUNT 1");
      CHECK_MESSAGE(last.find(m_.letters.back()) != std::string::npos,
                    last << " is not " << m_.letters.back() << log_);
    }
  }

  // What the rows say is what was thought.
  void Reload() {
    Turn(0);
    ServeReader();
    REQUIRE(server_.store().keys().Load().ok());
  }

  // Everything is acknowledged: nothing may be left of it.
  void Finish() {
    std::string letters = c_("XRANGE d - +");
    size_t at = 0;
    for (const std::string& letter : m_.letters) {
      at = letters.find(letter, at);
      REQUIRE_MESSAGE(at != std::string::npos, letter << " is not in its place" << log_);
    }
    reader_.reset();
    c_("XGROUP CFGSET s g VISIBILITY 0 BACKOFF 0 MAXDELIVERIES 0 MAXPENDING 0 ORDERBY '' "
       "FILTER '' 0 RATE 0 0 DEADLETTER ''");
    c_("XGROUP SETID s g $");
    for (auto& [id, g] : m_.given) c_("XACK s g " + m_.Name(id));
    server_.AdvanceMs(1'000'000);
    server_.AdvanceMs(1'000'000);
    for (Table table : {Table::kDue, Table::kOrder, Table::kPending, Table::kPendingByOwner,
                        Table::kExpiring, Table::kTimer}) {
      CHECK_MESSAGE(!Cursor(&server_.store().env(), table).First(),
                    "table " << static_cast<int>(table) << log_);
    }
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  // Inside of a transaction the reply comes later.
  void Same(const std::string& command, const std::string& expected) {
    log_ += "\n" + command;
    if (!queueing_) return Quietly(command, expected);
    Quietly(command, "QUEUED");
    queued_ += (queued_.empty() ? "" : ", ") + expected;
  }
  void Quietly(const std::string& command, const std::string& expected) {
    std::string reply = c_(command);
    CHECK_MESSAGE(reply == expected, "expected " << expected << " of " << command << ", got "
                                                 << reply << "\nafter" << log_);
  }
  int AnyGiven() {
    if (m_.given.empty() || Pick(10) == 0) return 1 + Pick(m_.last() + 1);
    auto it = m_.given.begin();
    std::advance(it, Pick(static_cast<int>(m_.given.size())));
    return it->first;
  }
  std::string Who() { return std::string(1, static_cast<char>('a' + Pick(3))); }
  int64_t Time() { return Pick(4) == 0 ? Pick(400) : Pick(60); }

  void Command() {
    switch (Pick(13)) {
      case 0:
      case 1:
      case 2:
        return Add();
      case 3:
      case 4:
      case 5:
        return Pick(12) ? Read() : History();
      case 6:
      case 7:
        return Ack();
      case 8:
      case 9:
        return Nack();
      case 10:
        return Pick(3) ? AutoClaim() : Delete();
      case 11:
        return Pick(4) ? Claim() : Leave();
      default:
        return Pick(6) ? (rewinding_ && Pick(2) ? SetCursor() : Add()) : Rule();
    }
  }
  void Transaction() {
    log_ += "\nMULTI";
    CHECK(c_("MULTI") == "OK");
    queueing_ = true;
    for (int n = Pick(6); n > 0; --n) Command();
    queueing_ = false;
    Same("EXEC", "[" + std::exchange(queued_, "") + "]");
  }

  void Add() {
    static const char* values[] = {"x", "y", "z", "-"};
    PolicyModel::Entry e{values[Pick(4)], Pick(4) ? "yes" : "no"};
    std::string command = "XADD s ";
    if (expiring_ && Pick(2)) {
      int64_t s = Pick(2), ms = 1 + Pick(200);
      switch (Pick(8)) {
        case 0:
          e.until = m_.now + (s + 1) * 1000;
          command += "EX " + std::to_string(s + 1) + " ";
          break;
        case 1:
          e.until = (m_.now / 1000 + s) * 1000;
          command += "EXAT " + std::to_string(m_.now / 1000 + s) + " ";
          break;
        case 2:
          e.until = m_.now + ms - 50;
          command += "PXAT " + std::to_string(e.until) + " ";
          break;
        default:
          e.until = m_.now + ms;
          command += "PX " + std::to_string(ms) + " ";
      }
    }
    command += (e.k == "-" ? "* n - t " : "* k " + e.k + " t ") + e.t;
    m_.Add(e);
    Same(command, "\"" + m_.Name(m_.last()) + "\"");
  }
  std::string Reading(PolicyModel::Reading* r, const std::string& block) {
    r->who = Who();
    r->count = Pick(4);
    r->claim = Pick(5) == 0;
    r->no_ack = Pick(12) == 0;
    r->idle = Pick(3) * 50;
    std::string command = "XREADGROUP GROUP g " + r->who + block;
    if (r->count) command += " COUNT " + std::to_string(r->count);
    if (r->claim) command += " CLAIM " + std::to_string(r->idle);
    if (r->no_ack) command += " NOACK";
    return command + " STREAMS s >";
  }
  void Read() {
    PolicyModel::Reading r;
    std::string command = Reading(&r, queueing_ && Pick(2) ? " BLOCK 0" : "");
    Same(command, m_.Read(r));
  }
  void History() {
    std::string who = Who();
    Same("XREADGROUP GROUP g " + who + " STREAMS s 0", m_.History(who));
  }
  void Ack() {
    int id = AnyGiven();
    Same("XACK s g " + m_.Name(id), Int(m_.Ack(id)));
  }
  void Nack() {
    static const char* modes[] = {"SILENT", "FAIL", "FAIL", "FATAL"};
    int id = AnyGiven();
    std::string mode = modes[Pick(4)];
    int64_t delay = Pick(3) ? -1 : Pick(3) * 40;
    int64_t retry = Pick(4) ? -1 : Pick(5);
    bool force = Pick(4) == 0;
    std::string command = "XNACK s g " + mode + " IDS 1 " + m_.Name(id);
    if (delay >= 0) command += " DELAY " + std::to_string(delay);
    if (retry >= 0) command += " RETRYCOUNT " + std::to_string(retry);
    if (force) command += " FORCE";
    Same(command, Int(m_.Nack(id, mode, delay, retry, force)));
  }
  void Claim() {
    int id = AnyGiven();
    bool force = Pick(4) == 0;
    if (force) id = 1 + Pick(m_.last() + 1);
    std::string who = Who();
    int64_t idle = Pick(3) * 50;
    bool just_id = Pick(2);
    std::string command = "XCLAIM s g " + who + " " + std::to_string(idle) + " " + m_.Name(id);
    if (just_id) command += " JUSTID";
    if (force) command += " FORCE";
    Same(command, m_.Claim(who, id, idle, just_id, force));
  }
  void AutoClaim() {
    std::string who = Who();
    int64_t idle = Pick(3) * 50, count = 1 + Pick(5);
    int from = Pick(2) ? 0 : AnyGiven();
    bool just_id = Pick(3) == 0;
    std::string command = "XAUTOCLAIM s g " + who + " " + std::to_string(idle) + " " +
                          m_.Name(from) + " COUNT " + std::to_string(count);
    if (just_id) command += " JUSTID";
    Same(command, m_.AutoClaim(who, idle, from, count, just_id));
  }
  void Delete() {
    int id = AnyGiven();
    Same("XDEL s " + m_.Name(id), Int(m_.Delete(id)));
  }
  void Leave() {
    std::string who = Who();
    Same("XGROUP DELCONSUMER s g " + who, Int(static_cast<int64_t>(m_.Leave(who))));
  }
  void SetCursor() {
    // Without a policy Redis does not tell who waits.
    if (reader_ && !m_.rules.Any()) return;
    int id = Pick(3) ? std::max(0, m_.cursor - Pick(6)) : m_.last();
    std::string command = "XGROUP SETID s g " + m_.Name(id);
    if (Pick(2)) command += " ENTRIESREAD " + std::to_string(id);
    m_.SetCursor(id);
    Same(command, "OK");
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

  // ---- time
  // Who waits for a moment waits for the end of a turn.
  void Quiet() {
    if (reader_) return;
    int64_t ms = Pick(60);
    log_ += "\n# " + std::to_string(ms) + " ms, quietly";
    server_.AdvanceQuietlyMs(ms);
    m_.Wait(ms);
  }
  void Turn(int64_t ms) {
    log_ += "\n# " + std::to_string(ms) + " ms";
    server_.AdvanceMs(ms);
    m_.Wait(ms);
    // Who has waited for long enough goes before anything else happens.
    if (reader_ && reads_until_ && m_.now >= reads_until_) Answered("(nil)");
    m_.Fire();
  }

  // ---- one who waits
  void Block() {
    if (reader_) return;
    reader_ = std::make_unique<TestClient>(&server_);
    int64_t ms = Pick(2) ? 1 + Pick(200) : 0;
    reads_until_ = ms ? m_.now + ms : 0;
    reads_ = PolicyModel::Reading();
    std::string command = Reading(&reads_, " BLOCK " + std::to_string(ms));
    log_ += "\nreader> " + command;
    std::string reply = (*reader_)(command);
    std::string expected = m_.Read(reads_);
    if (expected == "(nil)") expected = "(blocked)";
    CHECK_MESSAGE(reply == expected, "expected " << expected << ", got " << reply << log_);
    if (expected != "(blocked)") reader_.reset();
  }
  void Answered(const std::string& expected) {
    std::string reply = reader_->Take();
    CHECK_MESSAGE(reply == expected,
                  "the reader expected " << expected << ", got " << reply << log_);
    if (expected == "(blocked)") return;
    log_ += "\n# the reader got " + reply;
    if (expected != "(nil)" && Pick(3) == 0) {
      log_ += ", and was gone";
      if (reads_.no_ack) m_.PutBack();
    } else {
      reader_->session().put_back.reset();
    }
    reader_.reset();
  }
  void ServeReader() {
    if (!reader_) return;
    PolicyModel asked = m_;
    std::string expected = asked.Read(reads_);
    bool nothing = expected == "(nil)";
    if (!nothing) m_ = asked;
    Answered(nothing ? "(blocked)" : expected);
    if (!nothing) return;
    // What it passes over is passed over when it is asked again, at the latest.
    m_ = asked;
    server_.engine().KeyReady(0, "s");
    c_("PING");
    Answered("(blocked)");
  }

  std::mt19937_64 random_;
  TestServer server_;
  TestClient c_{&server_};
  PolicyModel m_;
  bool expiring_ = false, rewinding_ = false;
  bool queueing_ = false;
  std::string queued_;  // the replies that EXEC owes
  std::unique_ptr<TestClient> reader_;
  PolicyModel::Reading reads_;
  int64_t reads_until_ = 0;  // 0: for ever
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
      if (i % 10 == 0) pair.Reload();
      pair.Check();
    }
    pair.Finish();
  }
}
