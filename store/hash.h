// A hash: fields with values, each of which may have a moment at which it is gone.
//
// A small hash is packed into its key's header, in the order in which the fields came; what costs
// more than kMaxPackedBytes has a row per field and stays so. What OBJECT ENCODING calls it is
// another matter: that follows Redis's limits on the number and length of its items, one way too.
//
// A field lives through the millisecond that its moment names. Later it is not there, for any
// method here, whether Expire has removed it or not. The key's timer is set to the millisecond
// after the earliest moment.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/keyspace.h"
#include "store/named_rows.h"
#include "store/packed.h"

namespace sluice {

class Hash {
 public:
  // A hash within these is a listpack to Redis.
  struct Limits {
    uint64_t entries = 512;
    uint64_t value = 64;
  };
  struct Field {
    std::string_view name, value;
    int64_t expires_at_ms = 0;  // unix time; 0: never
  };

  // `key` must be a hash, or freshly created as one.
  Hash(Env* env, Keyspace* keys, Key* key, int64_t now_ms, Limits limits);

  // How many fields there are. Constant, unless it is packed or fields wait for Expire: linear in
  // those.
  uint64_t size();
  // Of all names and values together.
  uint64_t bytes() const;
  enum class Encoding : uint8_t { kListpack, kListpackWithTimes, kHashtable };
  Encoding encoding() const;
  bool packed() const { return !(flags_ & kRows); }
  // Whether the object of a hash with this header has rows.
  static bool HasRows(std::string_view header);

  // Views are good until the next change.
  std::optional<Field> Find(std::string_view name);
  // Gives a field a value, and a moment or none; true when there was no such field. Neither may be
  // a view into this Env.
  bool Set(std::string_view name, std::string_view value, int64_t expires_at_ms = 0);
  // Changes the moment of a field, which must be there; 0: never.
  void SetExpiry(std::string_view name, int64_t expires_at_ms);
  // True when there was such a field. When size() has come to be 0, the caller removes the key.
  bool Delete(std::string_view name);
  // Removes up to `limit` fields whose moment is over; returns how many. A packed hash loses all.
  uint64_t Expire(uint64_t limit);
  // Whether some still wait for that.
  bool overdue() const { return key_->timer_ms && key_->timer_ms <= now_ms_; }

  // Visit until `visit` says false. It must not change anything.
  using Visit = std::function<bool(const Field&)>;
  void Walk(const Visit& visit);
  // As NamedRows::Scan. A packed hash is visited whole at once.
  uint64_t Scan(uint64_t cursor, uint64_t count, const Visit& visit);
  // Visits one field, each with nearly the same probability; the hash must not be empty. Of a hash
  // with few rows it walks all, of others some.
  void Random(const std::function<uint64_t()>& random, const Visit& visit);

 private:
  enum Flag : uint8_t { kRows = 1, kHashtable = 2, kTimes = 4 };
  struct Header {
    uint64_t count = 0;
    uint64_t bytes = 0;
  };

  Packed Entries() { return Packed(&key_->header, 1, flags_ & kTimes ? 3 : 2); }
  NamedRows Rows() { return NamedRows(env_, Table::kHash, key_->object); }
  static Field FieldOf(const Packed::Entry& entry);
  static Field FieldOf(const NamedRows::Row& row);
  bool Gone(const Field& field) const {
    return field.expires_at_ms && field.expires_at_ms < now_ms_;
  }
  // The row of a moment; `field` is a row key without the object.
  RowKey TimerRow(int64_t at_ms, std::string_view field = {}) const;

  void PutPacked(const std::optional<Packed::Entry>& old, const Field& field);
  bool PutRow(const Field& field);
  void MoveTimer(std::string_view row_key, int64_t from_ms, int64_t to_ms);
  void GiveTimes();
  bool Outgrown();
  void Unpack();
  uint64_t ExpirePacked();
  uint64_t ExpireRows(uint64_t limit);
  void SetTimer();
  void Save();

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  int64_t now_ms_;
  Limits limits_;
  uint8_t flags_ = 0;
  Header header_;  // with rows only
};

}  // namespace sluice
