// LCFGSET and LLEASE POLICY: what a list does with elements that were taken and not acknowledged,
// how fast it gives them out and how many it holds.
#include "src/commands/lease_common.h"
#include "src/commands/policy_words.h"
#include "src/commands/stream_common.h"

namespace sluice {
namespace {

// What a call changes: only what it mentions.
struct Change {
  std::optional<std::vector<int64_t>> backoff_ms;
  std::optional<int64_t> max_deliveries, max_length;
  std::optional<std::string_view> dead_letter;
  std::optional<RateChange> rate;
};

bool ReadSetting(PolicyWords* words, Change* change) {
  if (words->Is("BACKOFF")) return words->Backoff(&change->backoff_ms);
  if (words->Is("MAXDELIVERIES")) return words->Number(&change->max_deliveries, INT64_MAX - 1);
  if (words->Is("DEADLETTER")) return words->Text(&change->dead_letter);
  if (words->Is("RATE")) return words->Rate(&change->rate);
  if (words->Is("MAXLEN")) return words->Number(&change->max_length, INT64_MAX - 1);
  return words->Unknown("LCFGSET");
}

void Apply(const Change& change, int64_t now_ms, List* list) {
  ListExtra& extra = list->extra();
  if (change.max_deliveries) extra.max_deliveries = static_cast<uint64_t>(*change.max_deliveries);
  if (change.max_length) extra.max_length = static_cast<uint64_t>(*change.max_length);
  if (change.rate) {
    extra.rate.Set(change.rate->tokens, change.rate->per_ms, change.rate->burst, now_ms);
  }
  Leases leases(list);
  RetryPolicy policy = leases.ReadPolicy();
  if (change.backoff_ms) policy.backoff_ms = *change.backoff_ms;
  if (change.dead_letter) policy.dead_letter = *change.dead_letter;
  leases.SavePolicy(policy);
}

void Lcfgset(Call& call) {
  std::string_view name = call.args[1];
  Change change;
  for (PolicyWords words(call, 2); words.Next();) {
    if (!ReadSetting(&words, &change)) return;
  }
  if (!change.dead_letter.value_or("").empty()) {
    if (*change.dead_letter == name) return call.Error("ERR DEADLETTER must be another key");
    if (!MaySay(call, {"rpush", *change.dead_letter, "element"})) return;
  }
  Key* key;
  if (!FindLeased(call, 1, &key)) return;
  if (!key) {
    key = &call.keys().Create(call.db(), name, Type::kList);
    call.keys().Hide(key);
  }
  List list = OpenList(call, key);
  Apply(change, call.now_ms(), &list);
  if (key->hidden && !list.outlives_elements()) call.keys().Remove(key, false);
  call.Noted(name, "");
  call.Ready(name);  // who was held back by the rate
  call.reply.Ok();
}

void Policy(Call& call) {
  Key* key;
  if (!FindLeased(call, 2, &key)) return;
  if (!key) return call.Error(errors::kNoSuchKey);
  List list = OpenList(call, key);
  const ListExtra& extra = list.extra();
  RetryPolicy policy = Leases(&list).ReadPolicy();
  call.reply.MapHeader(12);
  PolicyReply reply(call);
  reply.Setting("backoff", policy.backoff_ms);
  reply.Setting("maxdeliveries", static_cast<int64_t>(extra.max_deliveries));
  reply.Setting("deadletter", policy.dead_letter);
  reply.Setting("rate-tokens", extra.rate.tokens);
  reply.Setting("rate-ms", extra.rate.per_ms);
  reply.Setting("rate-burst", extra.rate.burst);
  reply.Setting("maxlen", static_cast<int64_t>(extra.max_length));
  reply.Counter("in-flight", extra.held);
  reply.Counter("waiting", extra.waiting);
  reply.Counter("dead", extra.dead);
  reply.Counter("redelivered", extra.redelivered);
  reply.Counter("dead-lettered", extra.dead_lettered);
}

}  // namespace

void AddLeasePolicyRows(Rows* rows) {
  rows->push_back({"lcfgset",
                   "key [backoff(BACKOFF=n:int milliseconds:int...)] [MAXDELIVERIES=count:int] "
                   "[DEADLETTER=list] [rate(RATE=tokens:int milliseconds:int [BURST=burst:int])] "
                   "[MAXLEN=length:int]",
                   "Sets what becomes of elements that are taken under a lease and not "
                   "acknowledged, how fast a list gives elements out and how many it takes.",
                   kSinceSluice,
                   "O(1)",
                   Group::kList,
                   -4,
                   kWrite | kDenyOom,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Lcfgset});
  rows->push_back({"llease|policy",
                   "key",
                   "Tells a list's settings and what it counts.",
                   kSinceSluice,
                   "O(1)",
                   Group::kList,
                   3,
                   kReadonly | kFast,
                   {KeySpec::At(2, KeySpec::kRO | KeySpec::kAccess)},
                   Policy,
                   {"nondeterministic_output"}});
}

}  // namespace sluice
