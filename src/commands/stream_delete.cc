// Deleting entries with regard to the groups that refer to them: XDELEX, XACKDEL, and trimming.
//
// A group refers to an entry that it has pending, that it has not come to yet, or that it has
// passed over for now.
#include "src/commands/stream_append.h"

namespace sluice {
namespace {

// All of a stream's groups, changed together and saved once.
class Referrers {
 public:
  Referrers(Call& call, Stream* stream) : call_(call), groups_(ConsumerGroup::All(stream)) {}

  ConsumerGroup* Find(std::string_view name) {
    for (ConsumerGroup& group : groups_) {
      if (group.name() == name) return &group;
    }
    return nullptr;
  }

  bool Refer(StreamId id) const {
    for (const ConsumerGroup& group : groups_) {
      if (id > group.last_id() || group.FindPending(id) || group.WasPassedOver(id)) return true;
    }
    return false;
  }
  // From here on every group refers, or one that has not come so far.
  StreamId FirstUnread() const {
    StreamId first = StreamId::Max();
    for (const ConsumerGroup& group : groups_) first = std::min(first, group.last_id());
    return first;
  }

  void Drop(StreamId id) {
    for (ConsumerGroup& group : groups_) {
      if (std::optional<Pending> pending = group.FindPending(id)) {
        group.RemovePending(*pending, nullptr);
        changed_ = true;
      } else if (group.WasPassedOver(id)) {
        group.ForgetPassedOver(id);
        changed_ = true;
      }
    }
  }
  void Acknowledge(ConsumerGroup* group, const Pending& pending) {
    group->RemovePending(pending, nullptr);
    changed_ = true;
  }

  void Save(std::string_view key) {
    if (!changed_) return;
    bool news = false;
    for (ConsumerGroup& group : groups_) {
      group.Save();
      news |= group.TakeNews();
    }
    call_.Noted(key, "");
    if (news) call_.Ready(key);
  }

 private:
  Call& call_;
  std::vector<ConsumerGroup> groups_;
  bool changed_ = false;
};

struct DeleteOptions {
  References references = References::kKeep;
  std::vector<StreamId> ids;
};

bool ReadDelete(Call& call, size_t from, DeleteOptions* options) {
  constexpr IdsErrors kErrors{"ERR Number of IDs must be a positive integer",
                              "ERR The `numids` parameter must match the number of arguments"};
  std::optional<References> references;
  for (size_t i = from; i < call.args.size(); ++i) {
    if (call.Is(i, "IDS") && options->ids.empty()) {
      if (!ReadIdsBlock(call, kErrors, &i, &options->ids)) return false;
    } else if (references || !ReadReferences(call, i, &references)) {
      return call.Error(errors::kSyntax), false;
    }
  }
  if (options->ids.empty()) return call.Error(errors::kSyntax), false;
  options->references = references.value_or(References::kKeep);
  return true;
}

void ReplyEach(Call& call, size_t n, int64_t value) {
  call.reply.ArrayHeader(n);
  for (size_t i = 0; i < n; ++i) call.reply.Integer(value);
}

enum Outcome : int64_t { kNotThere = -1, kDone = 1, kStillReferred = 2 };

void Xdelex(Call& call) {
  DeleteOptions options;
  if (!ReadDelete(call, 2, &options)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return ReplyEach(call, options.ids.size(), kNotThere);
  Stream stream = OpenStream(call, key);
  Referrers groups(call, &stream);
  bool deleted = false;
  call.reply.ArrayHeader(options.ids.size());
  for (StreamId id : options.ids) {
    if (options.references == References::kAcknowledged && groups.Refer(id)) {
      call.reply.Integer(kStillReferred);
      continue;
    }
    if (options.references == References::kDelete) groups.Drop(id);
    bool done = stream.Delete(id);
    deleted |= done;
    call.reply.Integer(done ? kDone : kNotThere);
  }
  groups.Save(call.args[1]);
  if (deleted) call.Changed(call.args[1], "xdel");
}

void Xackdel(Call& call) {
  DeleteOptions options;
  if (!ReadDelete(call, 3, &options)) return;
  Key* key;
  if (!call.LookupType(call.args[1], Type::kStream, &key)) return;
  if (!key) return ReplyEach(call, options.ids.size(), kNotThere);
  Stream stream = OpenStream(call, key);
  Referrers groups(call, &stream);
  ConsumerGroup* group = groups.Find(call.args[2]);
  if (!group) return ReplyEach(call, options.ids.size(), kNotThere);
  bool deleted = false;
  call.reply.ArrayHeader(options.ids.size());
  for (StreamId id : options.ids) {
    std::optional<Pending> pending = group->FindPending(id);
    if (!pending) {
      call.reply.Integer(kNotThere);
      continue;
    }
    groups.Acknowledge(group, *pending);
    if (options.references == References::kAcknowledged && groups.Refer(id)) {
      call.reply.Integer(kStillReferred);
      continue;
    }
    if (options.references == References::kDelete) groups.Drop(id);
    deleted |= stream.Delete(id);
    call.reply.Integer(kDone);
  }
  groups.Save(call.args[1]);
  if (deleted) call.Changed(call.args[1], "xdel");
}

// Deletes what nobody refers to, oldest first, among the entries that the rule is about; or counts
// how many these are.
uint64_t TrimAcknowledged(Stream* stream, const Referrers& groups, const Stream::TrimRule& rule,
                          bool only_count = false) {
  uint64_t nodes = rule.approximate ? stream->CountTrimmed(rule) : UINT64_MAX;
  StreamId from, end = groups.FirstUnread();
  uint64_t trimmed = 0;
  for (uint64_t seen = 0; seen < nodes; ++seen) {
    uint64_t left = stream->length() - (only_count ? trimmed : 0);
    bool enough = rule.by_id ? false : left <= rule.max_length;
    if (enough) break;
    // A deletion moves the walk's rows: each step looks anew.
    StreamId id;
    {
      Entries entry(*stream, from, end);
      if (!entry.valid() || (rule.by_id && entry.id() >= rule.min_id)) break;
      id = entry.id();
    }
    if (!groups.Refer(id)) trimmed += only_count || stream->Delete(id);
    from = id;
    if (!from.Increment()) break;
  }
  return trimmed;
}

uint64_t TrimEntries(Call& call, std::string_view name, Stream* stream, const Trimming& trimming) {
  const Stream::TrimRule& rule = trimming.rule;
  if (trimming.references == References::kKeep || stream->groups() == 0) return stream->Trim(rule);
  Referrers groups(call, stream);
  if (trimming.references == References::kAcknowledged) {
    return TrimAcknowledged(stream, groups, rule);
  }
  uint64_t n = stream->CountTrimmed(rule);
  std::vector<StreamId> ids;
  for (Entries entry(*stream, {}, StreamId::Max()); entry.valid() && ids.size() < n; entry.Next()) {
    ids.push_back(entry.id());
  }
  uint64_t trimmed = stream->Trim(rule);
  for (StreamId id : ids) groups.Drop(id);
  groups.Save(name);
  return trimmed;
}

}  // namespace

bool ReadReferences(const Call& call, size_t i, std::optional<References>* references) {
  if (call.Is(i, "KEEPREF")) return *references = References::kKeep, true;
  if (call.Is(i, "DELREF")) return *references = References::kDelete, true;
  if (call.Is(i, "ACKED")) return *references = References::kAcknowledged, true;
  return false;
}

uint64_t CountTrimmed(Call& call, Stream* stream, const Trimming& trimming) {
  if (trimming.references != References::kAcknowledged || stream->groups() == 0) {
    return stream->CountTrimmed(trimming.rule);
  }
  return TrimAcknowledged(stream, Referrers(call, stream), trimming.rule, true);
}

uint64_t Trim(Call& call, std::string_view name, Stream* stream, const Trimming& trimming) {
  uint64_t trimmed = TrimEntries(call, name, stream, trimming);
  if (trimmed > 0) call.Changed(name, "xtrim");
  return trimmed;
}

void AddStreamDeleteRows(Rows* rows) {
  rows->push_back(
      {"xdelex",
       "key [references(KEEPREF|DELREF|ACKED)] ids(IDS=numids:int id...)",
       "Deletes entries, and groups' references to them, or only what nobody refers to.",
       "8.2.0",
       "O(1)",
       Group::kStream,
       -5,
       kWrite | kFast,
       {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
       Xdelex});
  rows->push_back({"xackdel",
                   "key group [references(KEEPREF|DELREF|ACKED)] ids(IDS=numids:int id...)",
                   "Acknowledges entries and deletes them.",
                   "8.2.0",
                   "O(1)",
                   Group::kStream,
                   -6,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kDelete)},
                   Xackdel});
}

}  // namespace sluice
