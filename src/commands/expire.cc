// Times to live.
#include "src/commands/families.h"
#include "src/commands/keys_common.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

bool ReadConditions(Call& call, ExpiryConditions* c) {
  for (size_t i = 3; i < call.args.size(); ++i) {
    if (call.Is(i, "NX")) {
      c->nx = true;
    } else if (call.Is(i, "XX")) {
      c->xx = true;
    } else if (call.Is(i, "GT")) {
      c->gt = true;
    } else if (call.Is(i, "LT")) {
      c->lt = true;
    } else {
      return call.Error("ERR Unsupported option " + std::string(call.args[i])), false;
    }
  }
  if (c->nx && (c->xx || c->gt || c->lt)) {
    call.Error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (c->gt && c->lt) {
    call.Error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

void ExpireAt(Call& call, int64_t scale, int64_t base) {
  ExpiryConditions conditions;
  if (!ReadConditions(call, &conditions)) return;
  int64_t when;
  if (!call.ReadInteger(2, &when)) return;
  if (__builtin_mul_overflow(when, scale, &when) || __builtin_add_overflow(when, base, &when)) {
    return call.Error("ERR invalid expire time in '" + std::string(call.row.name) + "' command");
  }
  std::string_view name = call.args[1];
  Key* key = call.Peek(name);
  if (!key || !conditions.Allow(key->expires_at_ms, when)) return call.reply.Integer(0);
  key->accessed_ms = call.now_ms();
  if (when <= call.now_ms()) {
    call.Remove(key);
    call.Changed(name, "del");
  } else {
    call.keys().SetExpiry(key, when);
    call.Changed(name, "expire");
  }
  call.reply.Integer(1);
}

void Expire(Call& call) { ExpireAt(call, 1000, call.now_ms()); }
void Pexpire(Call& call) { ExpireAt(call, 1, call.now_ms()); }
void Expireat(Call& call) { ExpireAt(call, 1000, 0); }
void Pexpireat(Call& call) { ExpireAt(call, 1, 0); }

void ReplyTime(Call& call, bool seconds, bool relative) {
  Key* key = call.Peek(call.args[1]);
  if (!key) return call.reply.Integer(-2);
  if (!key->expires_at_ms) return call.reply.Integer(-1);
  uint64_t ms = static_cast<uint64_t>(key->expires_at_ms - (relative ? call.now_ms() : 0));
  call.reply.Integer(static_cast<int64_t>(seconds ? (ms + 500) / 1000 : ms));
}

void Ttl(Call& call) { ReplyTime(call, true, true); }
void Pttl(Call& call) { ReplyTime(call, false, true); }
void Expiretime(Call& call) { ReplyTime(call, true, false); }
void Pexpiretime(Call& call) { ReplyTime(call, false, false); }

void Persist(Call& call) {
  Key* key = call.Peek(call.args[1]);
  if (!key || !key->expires_at_ms) return call.reply.Integer(0);
  key->accessed_ms = call.now_ms();
  call.keys().SetExpiry(key, 0);
  call.Changed(call.args[1], "persist");
  call.reply.Integer(1);
}

}  // namespace

void AddExpireRows(Rows* rows) {
  rows->push_back({"expire",
                   "key seconds:int [condition(NX|XX|GT|LT)@7.0.0]",
                   "Lets a key expire after some seconds.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Expire});
  rows->push_back({"pexpire",
                   "key milliseconds:int [condition(NX|XX|GT|LT)@7.0.0]",
                   "Lets a key expire after some milliseconds.",
                   "2.6.0",
                   "O(1)",
                   Group::kGeneric,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Pexpire});
  rows->push_back({"expireat",
                   "key unix-time-seconds:time [condition(NX|XX|GT|LT)@7.0.0]",
                   "Lets a key expire at a Unix time in seconds.",
                   "1.2.0",
                   "O(1)",
                   Group::kGeneric,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Expireat});
  rows->push_back({"pexpireat",
                   "key unix-time-milliseconds:time [condition(NX|XX|GT|LT)@7.0.0]",
                   "Lets a key expire at a Unix time in milliseconds.",
                   "2.6.0",
                   "O(1)",
                   Group::kGeneric,
                   -3,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Pexpireat});
  rows->push_back({"ttl",
                   "key",
                   "Tells how many seconds a key has to live.",
                   "1.0.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Ttl,
                   {"nondeterministic_output"}});
  rows->push_back({"pttl",
                   "key",
                   "Tells how many milliseconds a key has to live.",
                   "2.6.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Pttl,
                   {"nondeterministic_output"}});
  rows->push_back({"expiretime",
                   "key",
                   "Tells when a key expires, as a Unix time in seconds.",
                   "7.0.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Expiretime});
  rows->push_back({"pexpiretime",
                   "key",
                   "Tells when a key expires, as a Unix time in milliseconds.",
                   "7.0.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kReadonly | kFast,
                   {KeySpec::At(1, KeySpec::kRO | KeySpec::kAccess)},
                   Pexpiretime});
  rows->push_back({"persist",
                   "key",
                   "Lets a key live for ever.",
                   "2.2.0",
                   "O(1)",
                   Group::kGeneric,
                   2,
                   kWrite | kFast,
                   {KeySpec::At(1, KeySpec::kRW | KeySpec::kUpdate)},
                   Persist});
}

}  // namespace sluice
