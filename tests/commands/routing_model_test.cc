// A graph of bindings against a model of one: the same random commands to both, every reply
// compared, and after each round what every key holds and every binding has counted.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "tests/commands/fixture.h"

using namespace sluice;
using namespace sluice::testing;

namespace {

const std::vector<std::string> kNames = {"a", "b", "c", "d", "e", "f"};
const std::vector<std::string> kValues = {"x", "x.y", "x.z", "y.x", "x.y.z", ""};

struct Bound {
  std::string dest, kind, pattern, end;  // kind: "", DIRECT, TOPIC, MATCH; end: "", LEFT, RIGHT
  int copied = 0, skipped = 0;
  bool Same(const Bound& o) const {
    return dest == o.dest && kind == o.kind && pattern == o.pattern && end == o.end;
  }
};

// A key, as simple as can be: a stream of the values of `k`, or a list of them.
struct Thing {
  bool list = false;
  std::vector<std::string> values;  // of a list: from the left
  std::vector<Bound> bound;
  size_t most = 0;
};

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  for (size_t from = 0; !text.empty();) {
    size_t dot = text.find('.', from);
    words.push_back(text.substr(from, dot - from));
    if (dot == std::string::npos) break;
    from = dot + 1;
  }
  return words;
}

bool Topic(const std::vector<std::string>& p, size_t i, const std::vector<std::string>& t,
           size_t k) {
  if (i == p.size()) return k == t.size();
  if (p[i] == "#") return Topic(p, i + 1, t, k) || (k < t.size() && Topic(p, i, t, k + 1));
  return k < t.size() && (p[i] == "*" || p[i] == t[k]) && Topic(p, i + 1, t, k + 1);
}

class Model {
 public:
  std::map<std::string, Thing> keys;

  static bool Selects(const Bound& b, const std::string& value) {
    if (b.kind == "DIRECT") return value == b.pattern;
    if (b.kind == "TOPIC") return Topic(Words(b.pattern), 0, Words(value), 0);
    if (b.kind == "MATCH") return value.starts_with(b.pattern.substr(0, b.pattern.size() - 1));
    return true;
  }
  bool Reaches(const std::string& from, const std::string& to) {
    if (from == to) return true;
    std::set<std::string> seen{from};
    std::deque<std::string> todo{from};
    for (; !todo.empty(); todo.pop_front()) {
      auto it = keys.find(todo.front());
      if (it == keys.end()) continue;
      for (const Bound& b : it->second.bound) {
        if (!b.end.empty() || !seen.insert(b.dest).second) continue;
        if (b.dest == to) return true;
        todo.push_back(b.dest);
      }
    }
    return false;
  }
  bool Put(const Bound& b, const std::string& value) {
    auto it = keys.find(b.dest);
    bool list = !b.end.empty();
    if (it != keys.end()) {
      const Thing& t = it->second;
      if (t.list != list || (t.most && t.values.size() >= t.most)) return false;
    }
    Thing& t = keys[b.dest];
    t.list = list;
    t.values.insert(b.end == "LEFT" ? t.values.begin() : t.values.end(), value);
    return true;
  }
  void Add(const std::string& name, const std::string& value, bool keep) {
    Thing& source = keys[name];
    source.values.push_back(value);
    std::set<std::string> reached{name};
    std::deque<std::string> todo{name};
    for (; !todo.empty(); todo.pop_front()) {
      std::vector<Bound>& bound = keys[todo.front()].bound;
      for (Bound& b : bound) {
        if (reached.count(b.dest) || !Selects(b, value)) continue;
        bool copied = Put(b, value);
        ++(copied ? b.copied : b.skipped);
        if (!copied) continue;
        reached.insert(b.dest);
        if (b.end.empty()) todo.push_back(b.dest);
      }
    }
    if (!keep) keys[name].values.clear();
  }
};

class Pair {
 public:
  explicit Pair(uint64_t seed) : random_(seed), client_(&server_) {}

  void Step() {
    std::string name = Any(kNames);
    bool is_list = m_.keys.count(name) && m_.keys[name].list;
    switch (Pick(12)) {
      case 0:
      case 1:
      case 2:
        return Bind(name, is_list);
      case 3:
        return Unbind(name, is_list);
      case 4:
        return Carry(name);
      case 5:
        return Limit(name);
      default:
        if (!is_list) Add(name);
    }
  }

  void Check() {
    for (const std::string& name : kNames) {
      auto it = m_.keys.find(name);
      if (it == m_.keys.end()) {
        Say("EXISTS " + name, "(integer) 0");
      } else if (it->second.list) {
        std::string all;
        for (const std::string& v : it->second.values) all += (all.empty() ? "" : ", ") + Quoted(v);
        Say("LRANGE " + name + " 0 -1", "[" + all + "]");
      } else {
        CheckStream(name, it->second);
      }
    }
  }

 private:
  size_t Pick(size_t n) { return random_() % n; }
  const std::string& Any(const std::vector<std::string>& of) { return of[Pick(of.size())]; }
  static std::string Quoted(const std::string& s) { return "\"" + s + "\""; }
  std::string Ask(const std::string& line) {
    log_ += line + "\n";
    return client_(line);
  }
  void Say(const std::string& line, const std::string& reply) {
    std::string got = Ask(line);
    if (got != reply) FAIL(log_, "said ", got, " instead of ", reply);
  }

  void CheckStream(const std::string& name, const Thing& t) {
    Say("XLEN " + name, "(integer) " + std::to_string(t.values.size()));
    std::string got = Ask("XRANGE " + name + " - +");
    size_t at = 0;
    for (const std::string& v : t.values) {
      at = got.find("[\"k\", " + Quoted(v) + "]", at);
      if (at++ == std::string::npos) FAIL(log_, name, " lacks ", v, ": ", got);
    }
    got = Ask("XINFO BINDINGS " + name);
    std::string all;
    for (const Bound& b : t.bound) {
      auto null_or = [](bool there, const std::string& s) { return there ? Quoted(s) : "(nil)"; };
      std::string kind = b.kind.empty() ? "fanout" : b.kind;
      for (char& c : kind) c = static_cast<char>(std::tolower(c));
      std::string end = b.end == "LEFT" ? "left" : "right";
      all += (all.empty() ? "[" : ", [");
      all += "\"dest\", " + Quoted(b.dest) + ", \"field\", " + null_or(!b.kind.empty(), "k") +
             ", \"kind\", " + Quoted(kind) + ", \"pattern\", " +
             null_or(!b.kind.empty(), b.pattern) + ", \"list-end\", " +
             null_or(!b.end.empty(), end) + ", \"list-field\", " + null_or(!b.end.empty(), "k") +
             ", \"copied\", (integer) " + std::to_string(b.copied) + ", \"skipped\", (integer) " +
             std::to_string(b.skipped) + "]";
    }
    if (got != "[" + all + "]") FAIL(log_, "bindings of ", name, ": ", got, " not [", all, "]");
  }

  void Bind(const std::string& name, bool is_list) {
    Bound b;
    b.dest = Any(kNames);
    std::string line = "XBIND " + name + " " + b.dest;
    if (Pick(2)) {
      static const std::vector<std::string> kPatterns = {"#", "x.*", "*.#.z", "x", "#.x"};
      b.kind = Any({"DIRECT", "TOPIC", "MATCH"});
      b.pattern = b.kind == "TOPIC" ? Any(kPatterns) : b.kind == "MATCH" ? "x*" : Any(kValues);
      line += " FIELD k " + b.kind + " " + Quoted(b.pattern);
    }
    if (Pick(4) == 0) {
      b.end = Pick(2) ? "LEFT" : "RIGHT";
      line += " LIST " + b.end + " k";
    }
    if (is_list) {
      return Say(line, "(error) WRONGTYPE Operation against a key holding the wrong kind of value");
    }
    if (b.end.empty() ? m_.Reaches(b.dest, name) : b.dest == name) {
      return Say(line, "(error) ERR the binding would close a cycle");
    }
    std::vector<Bound>& bound = m_.keys[name].bound;
    bool known = std::any_of(bound.begin(), bound.end(), [&](auto& o) { return o.Same(b); });
    if (!known) bound.push_back(b);
    Say(line, known ? "(integer) 0" : "(integer) 1");
  }

  void Unbind(const std::string& name, bool is_list) {
    std::string dest = Any(kNames);
    if (is_list) return;
    size_t removed = 0;
    if (m_.keys.count(name)) {
      removed = std::erase_if(m_.keys[name].bound, [&](auto& b) { return b.dest == dest; });
    }
    Say("XUNBIND " + name + " " + dest, "(integer) " + std::to_string(removed));
  }

  void Add(const std::string& name) {
    Thing* t = m_.keys.count(name) ? &m_.keys[name] : nullptr;
    const std::string& value = Any(kValues);
    bool keep = Pick(3);
    std::string line = "XADD " + name + (keep ? "" : " MAXLEN 0") + " * k " + Quoted(value);
    if (t && t->most && keep && t->values.size() >= t->most) {
      return Say(line, "(error) BACKLOG queue limit reached");
    }
    m_.Add(name, value, keep);
    std::string got = Ask(line);
    if (got.starts_with("(error)")) FAIL(log_, got);
  }

  // DEL, RENAME, COPY: bindings go along, cycles can close, types change.
  void Carry(const std::string& name) {
    std::string to = Any(kNames);
    bool there = m_.keys.count(name);
    switch (Pick(3)) {
      case 0:
        Say("DEL " + name, there ? "(integer) 1" : "(integer) 0");
        m_.keys.erase(name);
        break;
      case 1: {
        if (!there || to == name) return;
        Thing moved = m_.keys[name];
        m_.keys.erase(name);
        m_.keys[to] = moved;
        Say("RENAME " + name + " " + to, "OK");
        break;
      }
      default:
        if (!there || to == name) return;
        m_.keys[to] = Thing(m_.keys[name]);
        Say("COPY " + name + " " + to + " REPLACE", "(integer) 1");
    }
    server_.Turn();
  }

  void Limit(const std::string& name) {
    if (!m_.keys.count(name)) return;
    Thing& t = m_.keys[name];
    t.most = Pick(3) ? 0 : 3 + Pick(5);
    std::string command =
        t.list ? "LCFGSET " + name + " MAXLEN " : "XCFGSET " + name + " MAXBACKLOG ";
    Say(command + std::to_string(t.most), "OK");
  }

  std::mt19937_64 random_;
  TestServer server_;
  TestClient client_;
  Model m_;
  std::string log_;
};

}  // namespace

TEST_CASE("routing and a model of it") {
  const char* more = std::getenv("SEEDS");
  int seeds = more ? std::atoi(more) : 40;
  for (int seed = 1; seed <= seeds; ++seed) {
    Pair pair(static_cast<uint64_t>(seed));
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < 15; ++i) pair.Step();
      pair.Check();
    }
  }
}
