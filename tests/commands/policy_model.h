// A model of a group with a delivery policy, as simple as can be: maps that are searched from end
// to end. policy_model_test.cc plays the same to it and to the server.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sluice::testing {

// Where a given entry is.
enum class In { kFlight, kLine, kWait, kOverdue, kDead, kParked };

struct Given {
  In in = In::kFlight;
  std::string owner;  // empty: nobody
  int64_t delivered = 0, count = 0, real = 0;
  int64_t at = 0;             // kWait, kOverdue: the moment; kLine: the number
  std::string value;          // it stands for this value, or waits for it
  bool out_of_order = false;  // somebody has claimed it by its id although it had to wait
};

struct Rules {
  int64_t visibility = 0;
  std::vector<int64_t> backoff;
  int64_t max_deliveries = 0, max_pending = 0, tokens = 0, per_ms = 0, burst = 0;
  bool dead_letter = false, order = false, filter = false;

  bool Any() const {
    return visibility || !backoff.empty() || max_deliveries || max_pending || tokens ||
           dead_letter || order || filter;
  }
};

class PolicyModel {
 public:
  static constexpr int64_t kRejected = INT64_MAX;

  struct Entry {
    std::string k, t;
    int64_t until = 0;  // 0: for ever
  };
  struct Aside {
    std::string value;
    bool turn = false;  // it has come
  };
  struct Reading {
    std::string who;
    int count = 0;
    bool claim = false, no_ack = false;
    int64_t idle = 0;  // of CLAIM
    std::string out = "";
    int shown = 0;
    bool out_of_tokens = false;
    std::set<int> ahead = {};  // given again, in front of the cursor
  };

  Rules rules;
  int64_t now = 1'700'000'000'000;
  // Entries are numbered from 1 on, in the order of their ids.
  std::vector<std::string> ids{"0-0"};
  std::vector<int64_t> born{0};
  std::map<int, Entry> stream, hidden;  // hidden: expired and not put away yet
  int64_t hidden_to = 0;                // a later one is hidden behind this moment at the earliest
  int64_t expiry_armed = 0;
  std::map<int, Given> given;
  std::map<int, Aside> aside;  // passed over by the cursor
  std::map<std::string, int> stands;
  std::vector<std::string> letters;
  int cursor = 0;
  int64_t line = 0, bucket = 0, bucket_at = 0, throttled = 0, throttled_until = 0;
  uint64_t redelivered = 0, filtered = 0, expired = 0;
  bool lag_is_vague = false;
  // The last reading's, of NOACK: what comes back when nobody is there to get it.
  std::vector<int> for_good;
  int cursor_before = 0;

  int last() const { return static_cast<int>(ids.size()) - 1; }
  std::string Name(int id) const {
    if (id <= last()) return ids[static_cast<size_t>(id)];
    return "99999999999999-" + std::to_string(id);
  }
  std::string Text(int id) const {
    const Entry& e = stream.count(id) ? stream.at(id) : hidden.at(id);
    return (e.k == "-" ? "[\"n\", \"" : "[\"k\", \"") + e.k + "\", \"t\", \"" + e.t + "\"]";
  }
  bool AtLimit(const Given& g) const {
    return rules.max_deliveries && g.count >= rules.max_deliveries;
  }
  int64_t Backoff(int64_t count) const {
    if (rules.backoff.empty()) return 0;
    size_t k = static_cast<size_t>(std::max<int64_t>(count - 1, 0));
    return rules.backoff[std::min(k, rules.backoff.size() - 1)];
  }

  // ---- entries come and go
  void Add(Entry e) {
    size_t dash = ids.back().find('-');
    int64_t seq = born.back() == now ? std::stoll(ids.back().substr(dash + 1)) + 1 : 0;
    ids.push_back(std::to_string(now) + "-" + std::to_string(seq));
    born.push_back(now);
    if (e.until) e.until = std::max(e.until, hidden_to + 1);
    if (e.until && (!expiry_armed || e.until < expiry_armed)) expiry_armed = e.until;
    stream[last()] = std::move(e);
    Hide();
  }
  bool Delete(int id) {
    if (!stream.erase(id)) return false;
    lag_is_vague = true;
    return true;
  }

  // ---- time
  // It goes by, and nothing is done about it but that what has expired is seen no more.
  void Wait(int64_t ms) {
    now += ms;
    Hide();
  }
  // What is due is done, at its moment or late.
  void Fire() {
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
      bool expiry = expiry_armed && expiry_armed <= now && expiry_armed < first;
      if (!expiry && (!id || first > now)) return;
      expiry ? Bury() : Fall(id, held, first);
    }
  }

  // ---- reading
  std::string Read(Reading r) {
    for_good.clear();
    cursor_before = cursor;
    if (r.claim) {
      ReadClaimed(&r);
    } else if (rules.Any()) {
      ReadReady(&r);
    }
    ReadAside(&r);
    ReadNew(&r);
    if (r.out_of_tokens && !r.shown) Throttle();
    return r.shown ? "[[\"s\", [" + r.out + "]]]" : "(nil)";
  }
  std::string History(const std::string& who) {
    std::string out;
    for (auto& [id, g] : given) {
      if (g.owner != who) continue;
      out += (out.empty() ? "[\"" : ", [\"") + Name(id) + "\", ";
      out += (stream.count(id) ? Text(id) : "(nil)") + "]";
      if (!stream.count(id) || g.in == In::kDead) continue;
      Hold(id, who, true);
    }
    return "[[\"s\", [" + out + "]]]";
  }
  // Who read last, with NOACK, was gone before the reply could be sent.
  void PutBack() {
    if (!rules.Any()) {
      cursor = cursor_before;
      return;
    }
    for (int id : for_good) {
      if (given.count(id) || !stream.count(id)) continue;
      given[id] = Given();
      Line(id);
    }
    int64_t tokens = std::min(rules.burst, static_cast<int64_t>(for_good.size()));
    bucket = std::min(rules.burst * rules.per_ms, bucket + tokens * rules.per_ms);
  }

  // ---- what consumers do with what they have
  bool Ack(int id) {
    bool known = given.count(id);
    if (known) Remove(id);
    return known;
  }
  // `retry`: RETRYCOUNT, or -1.
  bool Nack(int id, const std::string& mode, int64_t delay, int64_t retry, bool force) {
    bool known = given.count(id);
    if (!known && !(force && stream.count(id))) return false;
    if (!known) given[id] = Given();
    Release(id, known, mode, delay, retry);
    if (!known) ForgetAside(id);
    return true;
  }
  std::string Claim(const std::string& who, int id, int64_t idle, bool just_id, bool force) {
    if (given.count(id) && !stream.count(id)) Forget(id);
    bool known = given.count(id);
    if (!known && !(force && stream.count(id))) return "[]";
    if (!known) given[id].count = 1;
    Given& g = given[id];
    if (!g.owner.empty() && idle && now - g.delivered < idle) return "[]";
    if (rules.Any() && known && !just_id && g.count > 0) ++redelivered;
    Hold(id, who, !just_id);
    auto stander = stands.find(g.value);
    g.out_of_order = stander == stands.end() || stander->second != id;
    if (!known) ForgetAside(id);
    return "[" + Shown(id, just_id) + "]";
  }
  std::string AutoClaim(const std::string& who, int64_t idle, int from, int64_t count,
                        bool just_id) {
    std::vector<int> claimed, gone, given_up;
    auto it = given.lower_bound(from);
    for (int64_t tries = count * 10; tries > 0 && count > 0 && it != given.end(); ++it, --tries) {
      auto& [id, g] = *it;
      bool may =
          g.owner.empty() ? g.in == In::kLine : g.in != In::kDead && now - g.delivered >= idle;
      if (!stream.count(id)) {
        gone.push_back(id), --count;
      } else if (may) {
        (AtLimit(g) ? given_up : claimed).push_back(id), --count;
      }
    }
    std::string next = it == given.end() ? "0-0" : Name(it->first), shown, lost;
    for (int id : given_up) GiveUp(id, "max-deliveries", false);
    std::erase_if(claimed, [&](int id) { return !Order(id); });
    for (int id : claimed) {
      shown += (shown.empty() ? "" : ", ") + Shown(id, just_id);
      if (rules.Any() && !just_id && given[id].count > 0) ++redelivered;
      Hold(id, who, !just_id);
    }
    for (int id : gone) {
      lost += (lost.empty() ? "\"" : ", \"") + Name(id) + "\"";
      Forget(id);
    }
    return "[\"" + next + "\", [" + shown + "], [" + lost + "]]";
  }
  // How many entries the consumer had.
  size_t Leave(const std::string& who) {
    std::vector<int> mine;
    for (auto& [id, g] : given) {
      if (g.owner == who) mine.push_back(id);
    }
    for (int id : mine) {
      Given& g = given[id];
      if (!rules.Any()) {
        Remove(id);
      } else if (g.in == In::kWait || g.in == In::kDead) {
        g.owner.clear();
        g.delivered = 0;
      } else {
        Line(id);
      }
    }
    return mine.size();
  }
  void SetCursor(int id) {
    while (!aside.empty()) ForgetAside(aside.begin()->first);
    cursor = id;
  }

  // ---- what there is to be seen
  int64_t ThrottledMs() const { return throttled - std::max<int64_t>(throttled_until - now, 0); }
  int64_t OldestMs() const {
    int oldest = last() + 1;
    if (!aside.empty()) oldest = aside.begin()->first;
    if (!given.empty()) oldest = std::min(oldest, given.begin()->first);
    auto unread = stream.upper_bound(cursor);
    if (unread != stream.end()) oldest = std::min(oldest, unread->first);
    return oldest > last() ? 0 : now - born[static_cast<size_t>(oldest)];
  }
  uint64_t Unread() const {
    return static_cast<uint64_t>(std::distance(stream.upper_bound(cursor), stream.end()));
  }

 private:
  // ---- values. An entry with "-" does not have the field.
  std::string Value(int id) const {
    const Entry& e = stream.at(id);
    return rules.order && e.k != "-" ? e.k : "";
  }
  bool Passes(const Entry& e) const { return !rules.filter || e.t == "yes"; }

  // `id` stands for its value no more; the next one does.
  void Free(const std::string& value, int id) {
    auto it = stands.find(value);
    if (it == stands.end() || it->second != id) return;
    stands.erase(it);
    while (true) {
      int next = 0;
      for (auto& [i, a] : aside) {
        if (!a.turn && a.value == value && (!next || i < next)) next = i;
      }
      for (auto& [i, g] : given) {
        if (g.value == value && i != id && (!next || i < next)) next = i;
      }
      if (!next) return;
      bool was_aside = aside.count(next);
      if (was_aside && !stream.count(next) && !hidden.count(next)) {
        aside.erase(next);
        continue;
      }
      stands[value] = next;
      if (was_aside) {
        aside[next].turn = true;
      } else if (given[next].in == In::kParked) {
        Line(next);
      }
      return;
    }
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
    given[id].out_of_order = false;
    if (old != value) Free(old, id);
    return true;
  }
  void ForgetAside(int id) {
    auto it = aside.find(id);
    if (it == aside.end()) return;
    std::string value = it->second.value;
    aside.erase(it);
    Free(value, id);
  }

  // ---- what becomes of a given entry
  void Remove(int id) {
    std::string value = given[id].value;
    given.erase(id);
    Free(value, id);
  }
  void Line(int id) {
    Given& g = given[id];
    g.in = In::kLine;
    g.owner.clear();
    g.delivered = 0;
    g.at = ++line;
    g.out_of_order = false;
  }
  void Hold(int id, const std::string& who, bool counts) {
    Given& g = given[id];
    g.in = In::kFlight;
    g.owner = who;
    g.delivered = now;
    if (counts && g.count != kRejected) ++g.count;
  }
  void Letter(int id, const std::string& reason, int64_t deliveries) {
    std::string text = Text(id);
    text.pop_back();
    letters.push_back(text + ", \"dlq-stream\", \"s\", \"dlq-group\", \"g\", \"dlq-id\", \"" +
                      Name(id) + "\", \"dlq-reason\", \"" + reason + "\", \"dlq-deliveries\", \"" +
                      std::to_string(deliveries) + "\"]");
  }
  static int64_t Real(const Given& g) { return g.count == kRejected ? g.real : g.count; }
  void GiveUp(int id, const std::string& reason, bool rejected) {
    if (!stream.count(id)) return Forget(id);
    Given& g = given[id];
    if (rules.dead_letter) {
      Letter(id, reason, Real(g));
      return Remove(id);
    }
    std::string value = g.value;
    if (rejected) g.real = Real(g), g.count = kRejected;
    g.in = In::kDead;
    g.value.clear();
    Free(value, id);
  }
  bool Expire(int id, int64_t deliveries) {
    ++expired;
    if (rules.dead_letter) Letter(id, "expired", deliveries);
    return rules.dead_letter;
  }
  // One that exists no more.
  void Forget(int id) {
    if (rules.Any() && hidden.count(id)) Expire(id, Real(given[id]));
    Remove(id);
  }
  void Release(int id, bool known, const std::string& mode, int64_t delay, int64_t retry) {
    Given& g = given[id];
    int64_t count = g.count;
    if (mode == "FATAL") count = kRejected;
    if (mode == "SILENT" && count > 0 && count != kRejected) --count;
    if (retry >= 0) count = retry;
    Given counted = g;
    counted.count = count;
    if (rules.Any() && mode == "FATAL") return GiveUp(id, "rejected", true);
    if (rules.Any() && known && AtLimit(counted)) return GiveUp(id, "max-deliveries", false);
    g.real = count == kRejected ? Real(g) : 0;
    g.count = count;
    if (g.in == In::kParked) return;
    int64_t wait = delay >= 0 ? delay : mode == "FAIL" ? Backoff(count) : 0;
    Line(id);
    if (wait) --line, g.in = In::kWait, g.at = now + wait;
  }
  void Fall(int id, bool held, int64_t moment) {
    Given& g = given[id];
    if (rules.Any() && !stream.count(id)) return Forget(id);
    if (!held && g.owner.empty()) return Line(id);
    if (held && AtLimit(g)) return GiveUp(id, "max-deliveries", false);
    int64_t wait = held ? Backoff(g.count) : 0;
    g.in = wait ? In::kWait : In::kOverdue;
    g.at = moment + wait;
  }

  // ---- what has expired
  void Hide() {
    for (auto it = stream.begin(); it != stream.end();) {
      if (it->second.until && it->second.until <= now) {
        lag_is_vague = true;
        hidden_to = std::max(hidden_to, it->second.until);
        hidden.insert(*it);
        it = stream.erase(it);
      } else {
        ++it;
      }
    }
  }
  void Bury() {
    while (!hidden.empty()) {
      int id = hidden.begin()->first;
      for (auto& [i, e] : hidden) {
        if (e.until < hidden[id].until) id = i;
      }
      if (rules.Any()) Tell(id);
      hidden.erase(id);
    }
    hidden_to = expiry_armed = 0;
    for (auto& [i, e] : stream) {
      if (e.until && (!expiry_armed || e.until < expiry_armed)) expiry_armed = e.until;
    }
  }
  void Tell(int id) {
    bool pending = given.count(id), passed_over = aside.count(id);
    bool unread = id > cursor && Passes(hidden[id]);
    if (!pending && !passed_over && !unread) return;
    bool moved = Expire(id, pending ? Real(given[id]) : 0);
    ForgetAside(id);
    if (moved && pending) Remove(id);
  }

  // ---- reading
  int64_t Bucket() const {
    return std::min(rules.burst * rules.per_ms, bucket + (now - bucket_at) * rules.tokens);
  }
  bool Room(Reading* r) const {
    if (r->count && r->shown >= r->count) return false;
    r->out_of_tokens = rules.tokens && Bucket() < rules.per_ms;
    return !r->out_of_tokens;
  }
  bool RoomForNew(Reading* r) const {
    int64_t live = 0;
    for (auto& [i, g] : given) live += g.in != In::kDead;
    return !(rules.max_pending && live >= rules.max_pending) && Room(r);
  }
  // Readers are held back until there is a token, if there is anything else for them.
  void Throttle() {
    bool waits = Unread() > 0;
    for (auto& [i, g] : given) waits |= g.in == In::kLine || g.in == In::kOverdue;
    for (auto& [i, a] : aside) waits |= a.turn;
    int64_t missing = rules.per_ms - Bucket();
    int64_t until = now + (missing + rules.tokens - 1) / rules.tokens;
    int64_t from = std::max(now, throttled_until);
    if (!waits || until <= from) return;
    throttled += until - from;
    throttled_until = until;
  }
  std::string Shown(int id, bool just_id) const {
    std::string name = "\"" + Name(id) + "\"";
    return just_id ? name : "[" + name + ", " + Text(id) + "]";
  }
  void Show(Reading* r, int id, int64_t idle, int64_t count) {
    if (rules.tokens) bucket = Bucket() - rules.per_ms, bucket_at = now;
    r->out += (r->shown++ ? ", " : "") + Shown(id, false);
    if (!r->claim) return;
    r->out.pop_back();
    r->out += ", (integer) " + std::to_string(idle) + ", (integer) " + std::to_string(count) + "]";
  }
  void GiveAgain(Reading* r, int id) {
    Given& g = given[id];
    Show(r, id, now - g.delivered, g.count);
    if (rules.Any() && g.count > 0) ++redelivered;
    Hold(id, r->who, true);
    if (rules.Any() && id > cursor) r->ahead.insert(id);
  }
  // It has taken its value. One that was pending, before the cursor was set back, begins anew.
  void GiveNew(Reading* r, int id) {
    Show(r, id, 0, 0);
    std::string value = Value(id);
    if (!r->no_ack) {
      given[id] = Given{In::kFlight, r->who, now, 1, 0, 0, value, false};
      return;
    }
    for_good.push_back(id);
    bool keeps = given.count(id) && given[id].value == value;
    if (!keeps) Free(value, id);
  }
  void ReadClaimed(Reading* r) {
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
    collect([](const Given& g) { return g.in == In::kLine; }, [](const Given& g) { return g.at; });
    collect(
        [&](const Given& g) {
          bool somebodys = !g.owner.empty() && g.in != In::kDead && g.in != In::kParked;
          return somebodys && now - g.delivered >= r->idle;
        },
        [](const Given& g) { return g.delivered; });
    if (!rules.Any() && r->count && found.size() > static_cast<size_t>(r->count)) {
      found.resize(static_cast<size_t>(r->count));
    }
    for (int id : found) {
      if (!Room(r)) break;
      if (AtLimit(given[id])) {
        GiveUp(id, "max-deliveries", false);
      } else if (Order(id)) {
        GiveAgain(r, id);
      }
    }
  }
  void ReadReady(Reading* r) {
    while (Room(r)) {
      int next = 0;
      for (In in : {In::kLine, In::kOverdue}) {
        if (next) break;
        for (auto& [i, g] : given) {
          if (g.in == in && (!next || g.at < given[next].at)) next = i;
        }
      }
      if (!next) return;
      if (!stream.count(next)) {
        Forget(next);
      } else if (AtLimit(given[next])) {
        GiveUp(next, "max-deliveries", false);
      } else if (!Order(next)) {
        Given& g = given[next];
        g.in = In::kParked, g.owner.clear(), g.delivered = 0, g.value = Value(next);
      } else {
        GiveAgain(r, next);
      }
    }
  }
  // Those whose turn has come.
  void ReadAside(Reading* r) {
    while (RoomForNew(r)) {
      int next = 0;
      for (auto& [i, a] : aside) {
        if (a.turn && !next) next = i;
      }
      if (!next) return;
      if (!stream.count(next)) {
        if (hidden.count(next)) Expire(next, 0);
        ForgetAside(next);
        continue;
      }
      aside.erase(next);
      GiveNew(r, next);
    }
  }
  void ReadNew(Reading* r) {
    if (stream.empty() || stream.rbegin()->first <= cursor) return;
    std::map<int, Entry> ahead(stream.upper_bound(cursor), stream.end());
    if (rules.Any()) ahead.insert(hidden.upper_bound(cursor), hidden.end());
    // Of those that have expired, all behind each other are passed by at once.
    bool passing = true;
    for (auto& [id, e] : ahead) {
      bool gone = hidden.count(id);
      if (!(gone && passing) && !RoomForNew(r)) return;
      passing = gone;
      cursor = id;
      if (gone) {
        if (Passes(e)) Expire(id, 0);
      } else if (r->ahead.count(id)) {
        continue;
      } else if (!Passes(e)) {
        ++filtered;
      } else {
        TakeNew(r, id);
      }
    }
  }
  void TakeNew(Reading* r, int id) {
    std::string value = Value(id);
    if (!value.empty() && stands.count(value) && stands[value] != id) {
      // A pending one, before the cursor was set back, stays where it is.
      if (!given.count(id)) aside[id] = {value, false};
      return;
    }
    if (!value.empty()) stands[value] = id;
    GiveNew(r, id);
  }
};

}  // namespace sluice::testing
