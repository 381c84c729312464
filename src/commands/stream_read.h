// What XREAD and XREADGROUP share: their options, where they read from, and their reply.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "src/commands/stream_common.h"

namespace sluice {

struct ReadOptions {
  bool of_group = false;
  std::optional<int64_t> block_ms;
  uint64_t count = 0;  // of each stream; 0: no limit
  // Of all streams together, entries and bytes of the reply; 0: no limit.
  uint64_t max_count = 0, max_size = 0;
  bool no_ack = false;
  std::optional<int64_t> claim_idle_ms;
  std::string_view group, consumer;
  bool group_given = false;
  size_t keys_at = 0;
  size_t streams = 0;
};

// Where one stream of the call is read from.
struct Source {
  Key* key = nullptr;
  StreamId after;
  bool fresh = false;  // XREADGROUP's `>`
  bool last = false;   // XREAD's `+`
  // XREADGROUP's, as found when the arguments were checked.
  std::optional<Stream> stream;
  std::optional<ConsumerGroup> group;
  bool more = false;  // there are new entries that have not been looked at
};

// The reply's outermost level: in RESP3 a map of name and entries, in RESP2 an array of pairs; no
// array at all when no stream has anything.
class StreamsReply {
 public:
  StreamsReply(resp::ReplyWriter reply, const ReadOptions& options)
      : reply_(reply),
        max_count_(options.max_count),
        max_size_(options.max_size),
        start_(reply.buffer()->size()) {}

  bool empty() const { return streams_ == 0; }
  // Whether the caps over all streams allow no further entry. One is always allowed.
  bool full() const {
    if (entries_ == 0) return false;
    if (max_count_ && entries_ >= max_count_) return true;
    return max_size_ && reply_.buffer()->size() - start_ >= max_size_;
  }
  void End() {
    reply_.protocol() >= 3 ? reply_.EndMap(mark_, streams_) : reply_.EndArray(mark_, streams_);
  }

 private:
  friend class EntryList;
  void Begin(std::string_view name) {
    if (streams_++ == 0) mark_ = reply_.protocol() >= 3 ? reply_.BeginMap(1) : reply_.BeginArray(1);
    if (reply_.protocol() < 3) reply_.ArrayHeader(2);
    reply_.Bulk(name);
  }

  resp::ReplyWriter reply_;
  uint64_t max_count_, max_size_;
  size_t start_;
  uint64_t entries_ = 0;
  size_t streams_ = 0;
  size_t mark_ = 0;
};

// One stream's entries in the reply. The stream is not mentioned before its first entry, unless
// Open is called.
class EntryList {
 public:
  // `count`: at most so many entries; 0: no limit.
  EntryList(StreamsReply* reply, std::string_view name, uint64_t count)
      : all_(reply), name_(name), count_(count) {}
  ~EntryList() {
    if (open_) all_->reply_.EndArray(mark_, entries_);
  }
  EntryList(const EntryList&) = delete;

  bool empty() const { return entries_ == 0; }
  bool full() const { return (count_ && entries_ >= count_) || all_->full(); }
  uint64_t left() const { return count_ ? count_ - entries_ : UINT64_MAX; }
  void Open();
  void Add(StreamId id, EntryFields fields);
  // With how long ago it was given out last, and how often it has been.
  void AddClaimed(StreamId id, EntryFields fields, int64_t idle_ms, uint64_t deliveries);
  // One that exists no more.
  void AddGone(StreamId id);

 private:
  resp::ReplyWriter& Next();

  StreamsReply* all_;
  std::string_view name_;
  uint64_t count_;
  uint64_t entries_ = 0;
  bool open_ = false;
  size_t mark_ = 0;
};

void OpenGroup(Call& call, const ReadOptions& options, Source* source);
// XREADGROUP of one stream: what its group has for the consumer.
void ReadSourceForGroup(Call& call, const ReadOptions& options, std::string_view name,
                        Source& source, StreamsReply* reply);
// When a reader that found nothing in the group should look again though no key was touched; 0:
// never.
int64_t NextChance(const Call& call, const ReadOptions& options, const Source& source);

}  // namespace sluice
