// A set: one row per member, ordered by a hash of the member. The order makes a cursor of SSCAN a
// place that stays good whatever is added and removed meanwhile, and any place in it is a random
// one.
//
// A set also knows in which of three forms Redis would keep it. The forms make no difference to the
// rows; a set goes from one to the next and never back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/keyspace.h"
#include "store/named_rows.h"
#include "store/packed.h"

namespace sluice {

class Set {
 public:
  enum class Form : uint8_t {
    kIntegers = 0,  // nothing but integers, and not too many: visited in ascending order
    kFew = 1,       // few and short members
    kTable = 2,
  };
  // Up to where a set keeps the first two forms.
  struct Limits {
    uint64_t integers = 512;
    uint64_t few = 128;
    uint64_t few_bytes = 64;  // of one member
  };
  // Called for each random number that is needed: all 64 bits are used.
  using Random = std::function<uint64_t()>;
  // False ends the walk. The member is a view; the set must not be changed meanwhile.
  using Visit = std::function<bool(std::string_view member)>;

  // `key` must be a set, or freshly created as one.
  Set(Env* env, Keyspace* keys, Key* key);

  uint64_t size() const { return header_.count; }
  // Bytes of all members together.
  uint64_t bytes() const { return header_.bytes; }
  Form form() const { return header_.form; }
  bool packed() const { return !header_.rows; }
  // Whether the object of a set with this header has rows.
  static bool HasRows(std::string_view header);

  // Members that are given may not be views into this Env, except to Contains.
  bool Contains(std::string_view member) const;
  // To be called before `count` members, `first` the first of them, are added together: decides the
  // form of a set that is new, or sees that it will be too large.
  void Expect(std::string_view first, uint64_t count, const Limits& limits);
  // False when it is there already.
  bool Add(std::string_view member, const Limits& limits);
  // False when it is not there. The caller removes the key when the set has become empty.
  bool Remove(std::string_view member);

  void Walk(const Visit& visit) const;
  // As Keyspace::Scan: visits at least `count` members from the cursor on and returns where to go
  // on, 0 at the end. Cursors are below 2^48.
  uint64_t Scan(uint64_t cursor, uint64_t count, const Visit& visit) const;

  // Some member of a set that is not empty. Up to kExact members, or in a packed set, each has the
  // same chance. In a larger set the place of a random hash is sought and one of the kNear members
  // behind it drawn, so a member's chance is the average of kNear gaps between hashes: it lies
  // within a quarter of the mean (one standard deviation).
  std::string Pick(const Random& random) const;
  // `count` different members, fewer than there are. Where that is a third of the set or more,
  // each combination has the same chance; below, they are drawn one by one as Pick does.
  std::vector<std::string> Sample(uint64_t count, const Random& random) const;
  // The same, and removes them.
  std::vector<std::string> Take(uint64_t count, const Random& random);

  // The number that a member is, if it is spelled as a number would be.
  static std::optional<int64_t> AsInteger(std::string_view member);

 private:
  static constexpr uint64_t kExact = 128;
  static constexpr uint64_t kNear = 16;
  struct Header {
    Form form = Form::kTable;
    bool rows = false;
    uint64_t count = 0;
    uint64_t bytes = 0;
  };
  static constexpr size_t kHeaderBytes = 1 + 8 + 8;

  Packed Entries() const { return Packed(&key_->header, kHeaderBytes, 1); }
  NamedRows Rows() const { return NamedRows(env_, Table::kSet, key_->object); }
  void WalkAsKept(const Visit& visit) const;
  void Adapt(std::string_view added, const Limits& limits);
  bool AllShort(uint64_t bytes) const;
  void AddRow(std::string_view member);
  bool Erase(std::string_view member);
  void Unpack();
  void Save();

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  Header header_;
};

}  // namespace sluice
