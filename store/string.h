// A string. A short one stands in the key's row; a long one has rows of kChunkBytes each, so that
// a change in the middle writes the chunks it touches and nothing else.
//
// A chunk that is missing, or shorter than its place, goes on with zero bytes: writing far behind
// the end costs what is written.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "store/keyspace.h"

namespace sluice {

class String {
 public:
  // How the value came about, which is all that decides what OBJECT ENCODING calls it.
  enum class Origin : uint8_t {
    kGiven = 0,     // as a client sent it
    kComputed = 1,  // never an integer, whatever it looks like (INCRBYFLOAT)
    kEdited = 2,    // in place (APPEND, SETRANGE)
  };
  static constexpr size_t kShort = 1024;
  // With LMDB's page header this fills exactly one page.
  static constexpr size_t kChunkBytes = 4080;

  // `key` must be a string, or freshly created as one.
  String(Env* env, Keyspace* keys, Key* key);

  uint64_t size() const { return size_; }
  Origin origin() const { return origin_; }

  void Assign(std::string_view value, Origin origin = Origin::kGiven);
  void Append(std::string_view bytes) { Write(size_, bytes); }
  // Overwrites from `offset` on and makes the string as long as that needs, with zero bytes in a
  // gap. The string counts as edited from now on, even if there is nothing to write.
  void Write(uint64_t offset, std::string_view bytes);

  // Bytes inside the string. The view is good until the string is changed, or the next Read or Pop
  // on anything of this Env.
  std::string_view Read(uint64_t offset, uint64_t length);
  std::string_view value() { return Read(0, size_); }
  // The same piece by piece, for values too long to be gathered.
  using Visit = std::function<void(std::string_view piece)>;
  void Walk(uint64_t offset, uint64_t length, const Visit& visit);

  // Whether the object of a string with this header has rows.
  static bool HasRows(std::string_view header);

 private:
  RowKey RowOf(uint64_t chunk) const;
  void WriteShort(uint64_t offset, std::string_view bytes);
  void WriteChunk(uint64_t chunk, size_t offset, std::string_view bytes);
  void SaveShort(std::string_view value);
  void SaveLong();

  Env* env_;
  Keyspace* keys_;
  Key* key_;
  uint64_t size_ = 0;
  bool long_ = false;
  Origin origin_ = Origin::kGiven;
};

}  // namespace sluice
