// XGROUP CFGSET and XINFO POLICY: a group's delivery policy, set and looked at.
#include "src/commands/group_delivery.h"
#include "src/commands/policy_words.h"
#include "src/commands/queues.h"

namespace sluice {
namespace {

// What a call changes: only what it mentions.
struct PolicyChange {
  std::optional<int64_t> visibility_ms, max_deliveries, max_pending;
  std::optional<std::vector<int64_t>> backoff_ms;
  std::optional<std::string_view> dead_letter, order_by;
  bool clear_filters = false;
  std::vector<GroupPolicy::Filter> filters;  // one without globs is taken off
  std::optional<RateChange> rate;
};

bool ReadFilter(PolicyWords* words, PolicyChange* change) {
  std::string_view field, glob;
  int64_t n = 0;
  if (!words->Text(&field) || !words->Integer(0, INT32_MAX, &n)) return false;
  if (field.empty()) {
    if (n != 0) return words->Wrong("needs a field");
    change->clear_filters = true;
    change->filters.clear();
    return true;
  }
  GroupPolicy::Filter filter{std::string(field), {}};
  for (; n > 0; --n) {
    if (!words->Text(&glob)) return false;
    filter.globs.emplace_back(glob);
  }
  change->filters.push_back(std::move(filter));
  return true;
}

bool ReadSetting(PolicyWords* words, PolicyChange* change) {
  if (words->Is("VISIBILITY")) return words->Number(&change->visibility_ms, kMaxDelayMs);
  if (words->Is("MAXDELIVERIES")) return words->Number(&change->max_deliveries, INT64_MAX - 1);
  if (words->Is("MAXPENDING")) return words->Number(&change->max_pending, INT64_MAX - 1);
  if (words->Is("BACKOFF")) return words->Backoff(&change->backoff_ms);
  if (words->Is("DEADLETTER")) return words->Text(&change->dead_letter);
  if (words->Is("ORDERBY")) return words->Text(&change->order_by);
  if (words->Is("FILTER")) return ReadFilter(words, change);
  if (words->Is("RATE")) return words->Rate(&change->rate);
  return words->Unknown("XGROUP CFGSET");
}

void ChangeFilters(const PolicyChange& change, std::vector<GroupPolicy::Filter>* filters) {
  if (change.clear_filters) filters->clear();
  for (const GroupPolicy::Filter& filter : change.filters) {
    auto same = [&](const GroupPolicy::Filter& f) { return f.field == filter.field; };
    auto old = std::find_if(filters->begin(), filters->end(), same);
    if (filter.globs.empty()) {
      if (old != filters->end()) filters->erase(old);
    } else if (old != filters->end()) {
      *old = filter;
    } else {
      filters->push_back(filter);
    }
  }
}

void Apply(const PolicyChange& change, int64_t now_ms, ConsumerGroup* group) {
  GroupExtra& extra = group->extra();
  GroupPolicy policy;
  if (extra.has_policy()) policy = group->ReadPolicy();
  if (change.visibility_ms) extra.visibility_ms = *change.visibility_ms;
  if (change.max_deliveries) extra.max_deliveries = static_cast<uint64_t>(*change.max_deliveries);
  if (change.max_pending) extra.max_pending = static_cast<uint64_t>(*change.max_pending);
  if (change.backoff_ms) policy.backoff_ms = *change.backoff_ms;
  if (change.dead_letter) policy.dead_letter = *change.dead_letter;
  ChangeFilters(change, &policy.filters);
  if (change.rate) {
    extra.rate.Set(change.rate->tokens, change.rate->per_ms, change.rate->burst, now_ms);
  }
  if (change.order_by && *change.order_by != policy.order_by) {
    policy.order_by = *change.order_by;
    group->UnparkAll();
  }
  group->SavePolicy(policy);
  if (extra.visibility_ms) group->KeepQueues();
  group->Rearm();
}

void XgroupCfgset(Call& call) {
  PolicyChange change;
  for (PolicyWords words(call, 4); words.Next();) {
    if (!ReadSetting(&words, &change)) return;
  }
  if (!change.dead_letter.value_or("").empty() &&
      !MaySay(call, {"xadd", *change.dead_letter, "*", "f", "v"})) {
    return;
  }
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(&stream, call.args[3]);
  if (!group) return NoGroupNamed(call);
  if (change.dead_letter && *change.dead_letter == call.args[2]) {
    return call.Error("ERR DEADLETTER must be another key");
  }
  Apply(change, call.now_ms(), &*group);
  group->Save();
  call.Noted(call.args[2], "");
  call.Ready(call.args[2]);
  call.reply.Ok();
}

// ---- XINFO POLICY

void ReplySettings(Call& call, const GroupExtra& extra, const GroupPolicy& policy) {
  PolicyReply reply(call);
  reply.Setting("visibility", extra.visibility_ms);
  reply.Setting("backoff", policy.backoff_ms);
  reply.Setting("maxdeliveries", static_cast<int64_t>(extra.max_deliveries));
  reply.Setting("deadletter", policy.dead_letter);
  reply.Setting("maxpending", static_cast<int64_t>(extra.max_pending));
  reply.Setting("orderby", policy.order_by);
  call.reply.Bulk("filters");
  call.reply.ArrayHeader(policy.filters.size());
  for (const GroupPolicy::Filter& filter : policy.filters) {
    call.reply.ArrayHeader(2);
    call.reply.Bulk(filter.field);
    call.reply.ArrayHeader(filter.globs.size());
    for (const std::string& glob : filter.globs) call.reply.Bulk(glob);
  }
  reply.Setting("rate-tokens", extra.rate.tokens);
  reply.Setting("rate-ms", extra.rate.per_ms);
  reply.Setting("rate-burst", extra.rate.burst);
}

void ReplyCounters(Call& call, const Stream& stream, const ConsumerGroup& group) {
  GroupCounts counts = CountGroup(call, stream, group);
  PolicyReply reply(call);
  reply.Counter("ready", counts.ready);
  reply.Counter("in-flight", counts.in_flight);
  reply.Counter("waiting", counts.waiting);
  reply.Counter("parked", counts.parked);
  reply.Counter("dead", counts.dead);
  reply.Counter("redelivered", counts.redelivered);
  reply.Counter("dead-lettered", counts.dead_lettered);
  reply.Counter("filtered", counts.filtered);
  reply.Counter("expired", counts.expired);
  reply.Counter("throttled-ms", counts.throttled_ms);
  reply.Counter("oldest-ms", counts.oldest_ms);
}

void XinfoPolicy(Call& call) {
  Key* key;
  if (!call.LookupType(call.args[2], Type::kStream, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  Stream stream = OpenStream(call, key);
  std::optional<ConsumerGroup> group = ConsumerGroup::Find(&stream, call.args[3]);
  if (!group) return NoGroupNamed(call);
  call.reply.MapHeader(21);
  ReplySettings(call, group->extra(), group->ReadPolicy());
  ReplyCounters(call, stream, *group);
}

}  // namespace

void AddGroupPolicyRows(Rows* rows) {
  rows->push_back(
      {"xgroup|cfgset",
       "key group [VISIBILITY=milliseconds:int] [backoff(BACKOFF=n:int "
       "milliseconds:int...)] [MAXDELIVERIES=count:int] [DEADLETTER=dest] "
       "[MAXPENDING=count:int] [ORDERBY=field] [filter(FILTER=field n:int "
       "[glob:pattern]...)]... [rate(RATE=tokens:int milliseconds:int "
       "[BURST=burst:int])]",
       "Sets what becomes of entries that are given out and not acknowledged, which are "
       "given out, in what order and how fast.",
       kSinceSluice,
       "O(1), O(N) with N pending entries when the first VISIBILITY or another ORDERBY "
       "is set.",
       Group::kStream,
       -6,
       kWrite | kDenyOom,
       {KeySpec::At(2, KeySpec::kRW | KeySpec::kUpdate)},
       XgroupCfgset});
  rows->push_back({"xinfo|policy",
                   "key group",
                   "Tells a group's delivery policy and its counters.",
                   kSinceSluice,
                   "O(log N)",
                   Group::kStream,
                   4,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   XinfoPolicy,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
