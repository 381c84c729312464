// MEMORY: what of it is used. Data is on disk; a key costs memory only while it is hot.
#include <malloc.h>

#include "src/commands/families.h"
#include "src/commands/hash_common.h"
#include "src/commands/help.h"
#include "src/engine/call.h"
#include "src/engine/process.h"
#include "store/list.h"
#include "store/set.h"
#include "store/sorted_set.h"
#include "store/stream.h"
#include "store/string.h"

namespace sluice {
namespace {

constexpr uint64_t kPerRow = 24;  // LMDB's node, the object's number and the index

// The oldest entries stand for all.
uint64_t BytesOf(const Stream& stream, uint64_t samples) {
  uint64_t bytes = 0, seen = 0;
  for (Entries entries(stream, stream.first_id(), stream.top_id());
       entries.valid() && (samples == 0 || seen < samples); entries.Next(), ++seen) {
    std::string_view field, value;
    for (EntryFields fields = entries.fields(); fields.left();) {
      fields.Next(&field, &value);
      bytes += field.size() + value.size();
    }
  }
  return seen ? bytes * stream.length() / seen + stream.length() * kPerRow : 0;
}

// About as much as the key's rows take on disk. Without what its consumer groups need.
uint64_t BytesOf(Call& call, Key* key, uint64_t samples) {
  uint64_t bytes = kPerRow + key->name.size() + key->header.size();
  switch (key->type) {
    case Type::kString:
      return bytes + String(call.env(), &call.keys(), key).size();
    case Type::kList: {
      List list(call.env(), &call.keys(), key);
      return bytes + list.bytes() + list.size() * kPerRow;
    }
    case Type::kStream:
      return bytes + BytesOf(Stream(call.env(), &call.keys(), key), samples);
    case Type::kHash: {
      Hash hash = OpenHash(call, key);
      return hash.packed() ? bytes : bytes + hash.bytes() + hash.size() * kPerRow;
    }
    case Type::kSet: {
      Set set(call.env(), &call.keys(), key);
      return bytes + set.bytes() + set.size() * kPerRow;
    }
      return bytes;
    case Type::kSortedSet: {
      // Each member stands in two rows.
      SortedSet set(call.env(), &call.keys(), key);
      return bytes + 2 * (set.bytes() + set.size() * kPerRow);
    }
  }
  return bytes;
}

void MemoryUsage(Call& call) {
  int64_t samples = 5;
  for (size_t i = 3; i < call.args.size(); i += 2) {
    if (!call.Is(i, "SAMPLES") || i + 1 == call.args.size()) return call.Error(errors::kSyntax);
    if (!call.ReadInteger(i + 1, &samples)) return;
    if (samples < 0) return call.Error(errors::kSyntax);
  }
  Key* key = call.engine.Lookup(call.session, call.db(), call.args[2], false);
  key ? call.reply.Integer(static_cast<int64_t>(BytesOf(call, key, static_cast<uint64_t>(samples))))
      : call.reply.Null();
}

void MemoryDoctor(Call& call) {
  call.reply.Verbatim("txt",
                      "Sluice keeps its data on disk. What it holds in memory are connections, "
                      "waiting clients and hot keys, and the kernel caches the rest: there is "
                      "nothing to cure.\n");
}

void MemoryStats(Call& call) {
  Stats& stats = call.engine.stats();
  uint64_t used = AllocatedBytes(), resident = ResidentBytes(), keys = 0;
  stats.peak_memory = std::max(stats.peak_memory, used);
  for (int db = 0; db < call.keys().databases(); ++db) keys += call.keys().Size(db);
  auto number = [&](std::string_view name, uint64_t value) {
    call.reply.Bulk(name);
    call.reply.Integer(static_cast<int64_t>(value));
  };
  auto ratio = [&](std::string_view name, uint64_t a, uint64_t b) {
    call.reply.Bulk(name);
    call.reply.Double(b ? static_cast<double>(a) / static_cast<double>(b) : 0);
  };
  uint64_t clients = 0;
  for (auto& [id, session] : call.engine.sessions()) {
    call.engine.host().Measure(*session);
    clients += sizeof(Session) + session->out.capacity() + session->query_buffer +
               session->query_buffer_free + session->queued_bytes;
  }
  call.reply.MapHeader(17);
  number("peak.allocated", stats.peak_memory);
  number("total.allocated", used);
  number("startup.allocated", 0);
  number("replication.backlog", 0);
  number("clients.slaves", 0);
  number("clients.normal", clients);
  number("aof.buffer", call.store().batch_bytes());
  number("overhead.total", used);
  number("keys.count", keys);
  number("keys.bytes-per-key", keys ? call.store().env().file_bytes() / keys : 0);
  number("dataset.bytes", call.store().env().file_bytes());
  ratio("peak.percentage", used * 100, stats.peak_memory);
  number("allocator.allocated", used);
  number("allocator.resident", resident);
  ratio("allocator-rss.ratio", resident, used);
  ratio("fragmentation", resident, used);
  number("fragmentation.bytes", resident > used ? resident - used : 0);
}

void MemoryMallocStats(Call& call) {
  struct mallinfo2 info = ::mallinfo2();
  std::string text;
  auto line = [&](const char* name, size_t value) {
    text += std::string(name) + ": " + std::to_string(value) + "\n";
  };
  line("arena bytes", info.arena);
  line("mapped regions", info.hblks);
  line("mapped bytes", info.hblkhd);
  line("bytes in use", info.uordblks);
  line("bytes free", info.fordblks);
  call.reply.Verbatim("txt", text);
}

void MemoryPurge(Call& call) {
  ::malloc_trim(0);
  call.reply.Ok();
}

}  // namespace

void AddMemoryRows(Rows* rows) {
  rows->push_back(
      {"memory", "", "Commands about memory.", "4.0.0", "", Group::kServer, -2, 0, {}, nullptr});
  rows->push_back(
      {"memory|doctor",
       "",
       "Gives advice on memory.",
       "4.0.0",
       "O(1)",
       Group::kServer,
       2,
       0,
       {},
       MemoryDoctor,
       {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}});
  rows->push_back({"memory|help",
                   "",
                   "Lists the subcommands.",
                   "4.0.0",
                   "O(1)",
                   Group::kServer,
                   2,
                   kLoading | kStale,
                   {},
                   ContainerHelp});
  rows->push_back(
      {"memory|malloc-stats",
       "",
       "Shows what the allocator counts.",
       "4.0.0",
       "",
       Group::kServer,
       2,
       0,
       {},
       MemoryMallocStats,
       {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}});
  rows->push_back({"memory|purge",
                   "",
                   "Gives free memory back to the system.",
                   "4.0.0",
                   "",
                   Group::kServer,
                   2,
                   0,
                   {},
                   MemoryPurge,
                   {"request_policy:all_shards", "response_policy:all_succeeded"}});
  rows->push_back(
      {"memory|stats",
       "",
       "Shows what memory is used for.",
       "4.0.0",
       "O(1)",
       Group::kServer,
       2,
       0,
       {},
       MemoryStats,
       {"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}});
  rows->push_back({"memory|usage",
                   "key [SAMPLES=count:int]",
                   "Estimates how much room a key takes.",
                   "4.0.0",
                   "O(N)",
                   Group::kServer,
                   -3,
                   kReadonly,
                   {KeySpec::At(2, KeySpec::kRO)},
                   MemoryUsage});
}

}  // namespace sluice
