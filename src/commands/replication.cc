// What a master without replicas answers.
#include "src/commands/families.h"
#include "src/engine/call.h"

namespace sluice {
namespace {

void Role(Call& call) {
  call.reply.ArrayHeader(3);
  call.reply.Bulk("master");
  call.reply.Integer(0);
  call.reply.ArrayHeader(0);
}

void Replicaof(Call& call) {
  if (call.Is(1, "NO") && call.Is(2, "ONE")) return call.reply.Ok();
  int64_t port;
  if (!call.ReadRange(2, 0, 65535, &port, "ERR Invalid master port")) return;
  call.Error("ERR Sluice cannot follow another server");
}

// Nobody will ever acknowledge: whoever wants more than none waits until time is up.
void WaitFor(Call& call, bool satisfied, int64_t timeout_ms, std::string_view reply) {
  if (satisfied) return call.reply.Raw(reply);
  call.Block({}, {.timeout_ms = timeout_ms, .on_timeout = TimeoutReply::kRaw, .raw_reply = reply});
}

void Wait(Call& call) {
  int64_t replicas, timeout_ms;
  if (!call.ReadInteger(1, &replicas) || !call.ReadTimeoutMs(2, &timeout_ms)) return;
  WaitFor(call, replicas <= 0, timeout_ms, ":0\r\n");
}

void Waitaof(Call& call) {
  int64_t local, replicas, timeout_ms;
  if (!call.ReadInteger(1, &local)) return;
  if (local < 0 || local > 1) {
    return call.Error("ERR value is out of range, value must between 0 and 1");
  }
  if (!call.ReadInteger(2, &replicas)) return;
  if (replicas < 0) return call.Error("ERR value is out of range, must be positive");
  if (!call.ReadTimeoutMs(3, &timeout_ms)) return;
  const Config& config = call.engine.config();
  if (local && !config.appendonly) {
    return call.Error(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  }
  // Under `always` no reply leaves before what came before it is durable. Otherwise a checkpoint
  // sees to that.
  if (local && config.appendfsync != FsyncPolicy::kAlways && !call.deny_blocking) {
    Status status = call.store().CheckpointNow();
    if (!status.ok()) return call.Error("ERR " + status.message());
  }
  WaitFor(call, replicas == 0, timeout_ms, local ? "*2\r\n:1\r\n:0\r\n" : "*2\r\n:0\r\n:0\r\n");
}

}  // namespace

void AddReplicationRows(Rows* rows) {
  rows->push_back({"role",
                   "",
                   "Tells what the server is in a group of servers: a master, with no replicas.",
                   "2.8.12",
                   "O(1)",
                   Group::kServer,
                   1,
                   kNoscript | kLoading | kStale | kFast | kCatAdmin | kCatDangerous,
                   {},
                   Role});
  rows->push_back({"replicaof",
                   "args(host-port(host port:int)|no-one(NO ONE))",
                   "Makes the server follow another; only NO ONE is to be had.",
                   "5.0.0",
                   "O(1)",
                   Group::kServer,
                   3,
                   kAdmin | kNoscript | kStale | kNoAsyncLoading,
                   {},
                   Replicaof});
  rows->push_back({"slaveof",
                   "args(host-port(host port:int)|no-one(NO ONE))",
                   "The old name of REPLICAOF.",
                   "1.0.0",
                   "O(1)",
                   Group::kServer,
                   3,
                   kAdmin | kNoscript | kStale | kNoAsyncLoading,
                   {},
                   Replicaof,
                   {},
                   "5.0.0",
                   "`REPLICAOF`"});
  rows->push_back({"wait",
                   "numreplicas:int timeout:int",
                   "Waits for replicas, of which there are none.",
                   "3.0.0",
                   "O(1)",
                   Group::kGeneric,
                   3,
                   kNoscript | kCatConnection | kCatNotGroup,
                   {},
                   Wait,
                   {"request_policy:all_shards", "response_policy:agg_min"}});
  rows->push_back({"waitaof",
                   "numlocal:int numreplicas:int timeout:int",
                   "Waits until what was written is durable.",
                   "7.2.0",
                   "O(1)",
                   Group::kGeneric,
                   4,
                   kBlocking | kCatConnection | kCatNotGroup,
                   {},
                   Waitaof,
                   {"request_policy:all_shards", "response_policy:agg_min"}});
}

}  // namespace sluice
