// A stream: one row per entry, ordered by id.
//
// All that is asked of every stream all the time (its length, its first and its newest entry, the
// counters that lag is computed from) stands in the key's header, so most commands read no row but
// the entries they answer. Entries below first_id() do not exist, whatever rows say: a large trim
// only moves first_id, and the rows are reclaimed later, a slice per turn.
//
// Groups, consumers and what they have pending are in group.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "store/keyspace.h"
#include "store/stream_id.h"
#include "store/stream_node.h"

namespace sluice {

// The fields of one entry, front to back, where they lie: good as long as the row's value.
class EntryFields {
 public:
  explicit EntryFields(std::string_view row_value) : in_(row_value) {
    uint64_t node = in_.Varint();
    node_ = node >> 1;
    left_ = in_.Varint();
    if (node & 1) expires_at_ms_ = in_.Fixed<int64_t>();
  }
  uint64_t left() const { return left_; }  // pairs still to come
  uint64_t node() const { return node_; }
  int64_t expires_at_ms() const { return expires_at_ms_; }  // unix time; 0: never
  void Next(std::string_view* field, std::string_view* value) {
    --left_;
    *field = in_.Bytes();
    *value = in_.Bytes();
  }

 private:
  ValueReader in_;
  uint64_t node_;
  uint64_t left_;
  int64_t expires_at_ms_ = 0;
};

// What a stream knows of its producers (idempotence.h).
struct IdempotenceState {
  int64_t duration_s = 0, max_size = 0;  // 0: the configured ones
  uint32_t names = 0;                    // the scope of the producers' names
  uint32_t next_number = 0;              // of a scope; 0: never used
  uint64_t producers = 0, messages = 0, added = 0, duplicates = 0;
  bool operator==(const IdempotenceState&) const = default;
};

// What a stream knows of entries whose time is over, or will be (stream_expiry.cc).
struct ExpiringState {
  int64_t armed_ms = 0;      // where it stands in the agenda; 0: no entry has a moment
  int64_t hidden_to_ms = 0;  // entries with a moment up to here are hidden
  uint64_t hidden = 0;       // so many of them still have rows
  StreamId trimmed_to;       // moments of entries below it mean nothing
  bool operator==(const ExpiringState&) const = default;
};

// The marks of producers that number their messages (sequences.h).
struct SequenceState {
  uint32_t scope = 0;   // of the producers' names; 0: nobody's numbers are looked at
  uint32_t scopes = 0;  // used so far
  uint32_t numbers = 0;
  uint32_t reserved = 0;
  bool operator==(const SequenceState&) const = default;
};

// What a stream has staged (stage.h).
struct StageState {
  int64_t timeout_ms = 0;    // 0: the default
  uint64_t most_checks = 0;  // the same
  uint64_t max_backlog = 0;  // 0: no limit
  uint64_t staged = 0;
  StreamId last_handle;
  int64_t armed_ms = 0;  // where it stands in the agenda
  bool operator==(const StageState&) const = default;
};

class Stream {
 public:
  // `key` must be a stream, or freshly created as one; it must outlive this.
  Stream(Env* env, Keyspace* keys, Key* key);

  uint64_t length() const { return header_.length; }
  // The largest id ever given out, or what XSETID made of it.
  StreamId last_id() const { return header_.last; }
  // The ids of the oldest and of the newest entry; 0-0 when there is none.
  StreamId first_id() const { return header_.first; }
  StreamId top_id() const { return header_.top; }
  StreamId max_deleted_id() const { return header_.max_deleted; }
  uint64_t entries_added() const { return header_.entries_added; }
  uint64_t groups() const { return header_.groups; }
  // The same of a stream's key.
  static bool HasGroups(std::string_view header);
  // Where its entries are copied to (binding.h): how many bindings.
  uint64_t bindings() const { return extra_.bindings; }
  // How many nodes Redis would have, gaps not counted.
  uint64_t nodes() const;

  // The id that `*` gets; 0-0 when there is none left.
  StreamId NextId(uint64_t now_ms) const;
  // Adds an entry whose id is above last_id(): field, value, field, value, ... It exists up to a
  // moment (unix time; 0: for ever).
  void Append(StreamId id, std::span<const std::string_view> pairs, const NodeLimits& limits,
              int64_t expires_at_ms = 0);

  // What `look` finds with one more entry at the end, which is not there afterwards.
  uint64_t WithEntry(StreamId id, std::span<const std::string_view> pairs, const NodeLimits& limits,
                     const std::function<uint64_t()>& look);

  // The entry's fields, if it exists: good until the next change of a stream.
  std::optional<EntryFields> Find(StreamId id) const;
  bool Contains(StreamId id) const;
  // False when there was no such entry.
  bool Delete(StreamId id);

  // ---- entries whose time is over (stream_expiry.cc)
  // They go in two steps. Hiding takes them out of everything else that is promised here, many at
  // once; their rows stay until they are removed one by one, by whoever has read them once more.

  // Hides the entries with a moment at or before `now_ms`; returns how many. Costs nothing when
  // there are none, else about as much as reading that many ids.
  uint64_t HideExpired(int64_t now_ms) {
    bool maybe = extra_.expiring.armed_ms && extra_.expiring.armed_ms <= now_ms;
    return maybe ? Hide(now_ms) : 0;
  }
  uint64_t hidden() const { return extra_.expiring.hidden; }
  // Of those that are hidden: the fields, and the one with the earliest moment. The latter may miss
  // one after a large trim, and is asked again at the moment that RearmExpiry keeps.
  std::optional<EntryFields> FindHidden(StreamId id) const;
  std::optional<StreamId> FirstHidden();
  void RemoveHidden(StreamId id);
  // Stands in the agenda for the moment that comes next, which may be past while any are hidden.
  void RearmExpiry();

  // What XTRIM, and XADD's options, ask for.
  struct TrimRule {
    bool by_id = false;
    uint64_t max_length = 0;
    StreamId min_id;
    bool approximate = false;  // whole nodes only, and at most `limit` entries (0: all)
    uint64_t limit = 0;
  };
  // Drops the oldest entries; returns how many.
  uint64_t Trim(const TrimRule& rule);
  // How many of the oldest entries Trim would drop.
  uint64_t CountTrimmed(const TrimRule& rule);

  // XSETID. `last` is not below the newest entry.
  void SetId(StreamId last, std::optional<uint64_t> entries_added,
             std::optional<StreamId> max_deleted);

  // How many of the entries ever added are at or before `id`, as far as the counters tell.
  static constexpr int64_t kUnknown = -1;
  int64_t EntriesUpTo(StreamId id) const;
  // Whether an entry at or behind `from` may have been deleted out of the middle.
  bool HasTombstones(StreamId from) const;
  // How many entries a group that has come so far has not been given yet; nullopt: nobody knows.
  std::optional<int64_t> Lag(StreamId last_delivered, int64_t entries_read) const;

 private:
  friend class Entries;
  friend class ConsumerGroup;
  friend class PendingEntries;
  friend class Idempotence;
  friend class Sequences;
  friend class Bindings;
  friend class Stages;

  // On disk as it stands here, little-endian; later versions append to it.
  struct Header {
    uint64_t length = 0;
    uint64_t entries_added = 0;
    StreamId last, first, top, max_deleted;
    uint64_t groups = 0;
    uint64_t next_group = 1;  // numbers are never used twice
    OpenNode node;
    // The oldest node's entries and last id, so that trimming need not count them each time. 0: to
    // be counted again.
    uint64_t head_entries = 0;
    StreamId head_last;
  };
  static_assert(sizeof(Header) == 21 * 8, "no padding");
  // What only some streams have; it follows the header if it says anything. As above.
  struct Extra {
    IdempotenceState idempotence;
    ExpiringState expiring;
    SequenceState sequences;
    uint64_t bindings = 0;
    StageState stage;
    bool operator==(const Extra&) const = default;
  };
  static_assert(sizeof(Extra) == 22 * 8, "no padding");

  RowKey RowOf(StreamId id) const;
  bool InStream(std::string_view row_key) const;
  static StreamId IdOf(std::string_view row_key);
  uint64_t CountBelow(StreamId min_id) const;
  uint64_t CountNodes(const TrimRule& rule);
  void DropOldest(uint64_t n);
  void DropAll();
  void SkipTo(uint64_t n);
  void DeleteOldest(uint64_t n);
  void Save();

  bool IsHidden(const EntryFields& fields) const {
    int64_t to_ms = extra_.expiring.hidden_to_ms;
    return to_ms && fields.expires_at_ms() && fields.expires_at_ms() <= to_ms;
  }
  RowKey MomentRow(int64_t at_ms, StreamId id) const;
  void AddMoment(StreamId id, int64_t at_ms);
  void RemoveMoment(StreamId id, int64_t at_ms);
  uint64_t Hide(int64_t now_ms);
  void SettleFirst();
  void SettleTop();
  void ForgetMomentsTrimmed();

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  Header header_;
  Extra extra_;
};

// Walks the entries with from <= id <= to, backwards if `reverse`. What it shows is good until the
// next change of a stream.
class Entries {
 public:
  Entries(const Stream& stream, StreamId from, StreamId to, bool reverse = false);
  // Those that are hidden too, forwards.
  struct HiddenToo {};
  Entries(const Stream& stream, StreamId from, HiddenToo);

  bool valid() const { return valid_; }
  void Next();
  StreamId id() const { return id_; }
  bool hidden() const { return stream_.IsHidden(fields()); }
  EntryFields fields() const { return EntryFields(rows_.value()); }

 private:
  void Settle(bool found);

  const Stream& stream_;
  Cursor rows_;
  StreamId from_, to_;
  bool reverse_ = false;
  bool hidden_too_ = false;
  bool valid_ = false;
  StreamId id_;
};

}  // namespace sluice
