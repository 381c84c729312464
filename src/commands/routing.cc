#include "src/commands/routing.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "src/commands/list_common.h"
#include "store/stage.h"

namespace sluice {
namespace {

std::optional<std::string_view> ValueOf(std::span<const std::string_view> pairs,
                                        std::string_view field) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (pairs[i] == field) return pairs[i + 1];
  }
  return std::nullopt;
}

// A text's words, one after the other. An empty text has none.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text), end_(text.empty()) {}
  bool end() const { return end_; }
  std::string_view word() const { return rest_.substr(0, rest_.find('.')); }
  void Next() {
    size_t dot = rest_.find('.');
    end_ = dot == std::string_view::npos;
    if (!end_) rest_.remove_prefix(dot + 1);
  }

 private:
  std::string_view rest_;
  bool end_;
};

// One entry on its way. Its streams are opened one at a time: each is changed, and saved, before
// the next is looked at.
class Route {
 public:
  Route(Call& call, int db, const RoutedEntry& entry) : call_(call), db_(db), entry_(entry) {}

  void Walk(std::string_view source, const Stream& stream) {
    reached_.emplace(source);
    Follow(stream);
    for (size_t next = 0; next < streams_.size(); ++next) {
      Key* key = call_.keys().Find(db_, streams_[next]);
      if (key) Follow(OpenStream(call_, key));
    }
  }

 private:
  struct Step {
    uint64_t number;
    std::string dest;
    Binding::Into into;
    std::string_view element;
  };

  void Follow(Stream stream) {
    std::vector<Step> steps;
    Bindings bindings(&stream);
    bindings.Walk([&](const Binding& binding) {
      if (!Selects(binding, entry_.pairs)) return true;
      Step step{binding.number, std::string(binding.dest), binding.into, {}};
      if (step.into != Binding::Into::kStream)
        step.element = *ValueOf(entry_.pairs, binding.list_field);
      steps.push_back(std::move(step));
      return true;
    });
    for (const Step& step : steps) {
      if (reached_.contains(step.dest)) continue;
      bool copied = tried_++ < kMaxCopies && step.dest != entry_.open && Copy(step);
      if (copied) reached_.insert(step.dest);
      bindings.Count(step.number, copied);
    }
  }

  bool Copy(const Step& step) {
    Key* key = call_.engine.Lookup(call_.session, db_, step.dest, false);
    return step.into == Binding::Into::kStream ? Append(step, key) : Push(step, key);
  }

  Key* Make(const std::string& name, Type type) {
    Key* key = &call_.keys().Create(db_, name, type);
    call_.engine.KeyEvent(db_, name, "new");
    return key;
  }

  bool Append(const Step& step, Key* key) {
    if (key && key->type != Type::kStream) return false;
    uint64_t now = static_cast<uint64_t>(call_.now_ms());
    if (key) {
      Stream dest = OpenStream(call_, key);
      if (dest.NextId(now).zero() || !Stages(&dest).HasRoom()) return false;
    } else {
      key = Make(step.dest, Type::kStream);
    }
    Stream dest = OpenStream(call_, key);
    dest.Append(dest.NextId(now), entry_.pairs, StreamNodeLimits(call_), entry_.expires_at_ms);
    call_.engine.KeyChanged(db_, step.dest, "xadd");
    call_.engine.KeyReady(db_, step.dest);
    if (dest.bindings() > 0) streams_.push_back(step.dest);
    return true;
  }

  bool Push(const Step& step, Key* key) {
    if (key && key->type != Type::kList) return false;
    if (!HasRoom(call_, step.dest, key, 1)) return false;
    if (!key) key = Make(step.dest, Type::kList);
    bool left = step.into == Binding::Into::kListLeft;
    OpenList(call_, key).Push(left ? End::kLeft : End::kRight, step.element);
    call_.engine.KeyChanged(db_, step.dest, left ? "lpush" : "rpush");
    call_.engine.KeyReady(db_, step.dest);
    return true;
  }

  Call& call_;
  int db_;
  const RoutedEntry& entry_;
  std::unordered_set<std::string> reached_;
  std::vector<std::string> streams_;  // whose bindings are to be followed, in order
  uint64_t tried_ = 0;
};

}  // namespace

bool TopicMatch(std::string_view pattern, std::string_view text) {
  Words p(pattern), t(text);
  // Where to go on when what follows the last # does not match: with one word more for it.
  std::optional<Words> retry_pattern;
  Words retry_text("");
  while (true) {
    if (!p.end() && p.word() == "#") {
      p.Next();
      retry_pattern = p;
      retry_text = t;
    } else if (!p.end() && !t.end() && (p.word() == "*" || p.word() == t.word())) {
      p.Next();
      t.Next();
    } else if (p.end() && t.end()) {
      return true;
    } else if (retry_pattern && !retry_text.end()) {
      retry_text.Next();
      p = *retry_pattern;
      t = retry_text;
    } else {
      return false;
    }
  }
}

bool Selects(const Binding& binding, std::span<const std::string_view> pairs) {
  if (binding.into != Binding::Into::kStream && !ValueOf(pairs, binding.list_field)) return false;
  if (binding.kind == Binding::Kind::kAll) return true;
  std::optional<std::string_view> value = ValueOf(pairs, binding.field);
  if (!value) return false;
  if (binding.kind == Binding::Kind::kTopic) return TopicMatch(binding.pattern, *value);
  if (binding.kind == Binding::Kind::kMatch) return GlobMatch(binding.pattern, *value);
  return *value == binding.pattern;
}

void RouteEntry(Call& call, int db, std::string_view name, const Stream& stream,
                const RoutedEntry& entry) {
  Route(call, db, entry).Walk(name, stream);
}

}  // namespace sluice
