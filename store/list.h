// A list: one row per element, ordered by a 64-bit index.
//
// Indexes start in the middle of the number line and lie kStep apart, so a push is one put beyond
// an end. An insertion takes an index between its neighbours', which make room when they lie too
// close; a removal leaves a gap. While no index but the ends' has ever been touched the list is
// dense, and a position is plain arithmetic; otherwise finding a position walks from the nearer
// end. LTRIM from an end keeps a list dense.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/keyspace.h"
#include "store/token_bucket.h"

namespace sluice {

// What a list keeps beside its elements: its settings and its leases (lease.h). On disk as it
// stands here, behind the list's header; later versions append to it. A list that is nothing but
// Redis's has all zeros here, and no bytes.
struct ListExtra {
  static constexpr uint64_t kPolicy = 1;  // there is a retry policy, in a row of its own

  uint64_t flags = 0;
  ObjectId leases = 0;  // under which leases and policy stand; 0: there was no need yet
  uint64_t last_lease = 0;
  // How many leases are where.
  uint64_t held = 0, waiting = 0, dead = 0;
  // Elements of the list that have come back, and whose deliveries are remembered.
  uint64_t returned = 0;
  uint64_t redelivered = 0, dead_lettered = 0;
  // Settings; 0: not set.
  uint64_t max_deliveries = 0, max_length = 0;
  TokenBucket rate;

  uint64_t all_leases() const { return held + waiting + dead; }
  bool has_settings() const {
    return flags & kPolicy || max_deliveries || max_length || rate.tokens;
  }
  bool operator==(const ListExtra&) const = default;
};
static_assert(sizeof(ListExtra) == 16 * 8, "no padding");

class List {
 public:
  enum class End { kLeft, kRight };

  // `key` must be a list, or freshly created as one.
  List(Env* env, Keyspace* keys, Key* key);

  uint64_t size() const { return header_.count; }
  // Bytes of all elements together.
  uint64_t bytes() const { return header_.bytes; }

  // A hidden key is revealed.
  void Push(End end, std::string_view element);
  // Takes an element off a list that is not empty. The view is good until the next Pop on any list
  // of this Env. The caller removes the key when the list has become empty, or hides it.
  // `deliveries` becomes how often the element was given out before it was returned.
  std::string_view Pop(End end, uint64_t* deliveries = nullptr);
  // Pushes an element that was given out so many times.
  void Return(End end, std::string_view element, uint64_t deliveries);

  // Positions count from 0; nullopt outside.
  std::optional<std::string_view> At(uint64_t position);
  void Set(uint64_t position, std::string_view element);
  // Visits elements from position `from`, forwards or (towards the left end) backwards, until
  // `visit` says false or the end is reached. `visit` must not change the list.
  void Walk(uint64_t from, bool forwards,
            const std::function<bool(uint64_t position, std::string_view element)>& visit);
  // Inserts next to the first element equal to `pivot`; false when there is none.
  bool Insert(bool before, std::string_view pivot, std::string_view element);
  bool Contains(std::string_view element) { return header_.count > 0 && Find(element); }
  // Removes up to `limit` (0: all) elements equal to `element`, beginning at an end.
  uint64_t Remove(End from, std::string_view element, uint64_t limit);
  // Keeps the positions first..last, which lie inside the list.
  void Trim(uint64_t first, uint64_t last);
  // Drops all elements, however many, and nothing else.
  void Clear();

  // ---- what it keeps beside. After changing the extra, Save.
  ListExtra& extra() { return extra_; }
  const ListExtra& extra() const { return extra_; }
  void Save();
  // Whether the key must go on when the list is empty.
  bool outlives_elements() const { return extra_.all_leases() > 0 || extra_.has_settings(); }
  bool HasRoomFor(uint64_t more) const {
    return !extra_.max_length || header_.count + more <= extra_.max_length;
  }
  // Whether a list with this header has more than elements.
  static bool HasExtra(std::string_view header) { return header.size() > kHeaderBytes; }
  // The object of a list's leases, by its header; 0: there is none.
  static ObjectId LeaseObject(std::string_view header);
  // The header without the leases, as a copy of the list has it.
  static std::string WithoutLeases(std::string_view header);

  Env* env() const { return env_; }
  Keyspace* keys() const { return keys_; }
  Key* key() const { return key_; }

 private:
  struct Header {
    uint64_t low = 0;   // the smallest index
    uint64_t high = 0;  // and the largest
    uint64_t count = 0;
    uint64_t bytes = 0;
    uint8_t dense = 1;
    uint8_t mirrored = 0;
  };
  static constexpr size_t kHeaderBytes = 34;
  static constexpr uint64_t kStep = uint64_t{1} << 16;
  static constexpr uint64_t kMiddle = uint64_t{1} << 63;

  bool IsLow(End end) const { return (end == End::kLeft) != (header_.mirrored != 0); }
  // From a position in the list to one in index order, and back.
  uint64_t Mirror(uint64_t position) const {
    return header_.mirrored ? header_.count - 1 - position : position;
  }
  RowKey RowOf(uint64_t index) const;
  bool InList(std::string_view row_key) const;
  static uint64_t IndexOf(std::string_view row_key);
  bool SeekRow(Cursor* rows, uint64_t nth);
  std::optional<uint64_t> Find(std::string_view element);
  uint64_t Beside(uint64_t index, bool below);
  uint64_t Spread(uint64_t index);
  void Removed(uint64_t index, size_t bytes);
  uint64_t Add(End end, std::string_view element);
  uint64_t DeliveriesOf(uint64_t index) const;
  void Remember(uint64_t index, uint64_t deliveries);
  void StartAnew();
  void DropRows(uint64_t from, uint64_t to);
  void DropLow(uint64_t count);
  void DropHigh(uint64_t count);

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  Header header_;
  ListExtra extra_;
};

}  // namespace sluice
