// Where a stream's entries are copied to: one row for each binding, in the order in which they were
// made. What matches what, and the copying, is done above.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "store/stream.h"

namespace sluice {

struct Binding {
  // On disk: never renumber.
  enum class Kind : uint8_t {
    kAll = 0,
    kDirect = 1,  // the field's value is the pattern
    kTopic = 2,   // words with * and #
    kMatch = 3,   // a glob
  };
  enum class Into : uint8_t { kStream = 0, kListLeft = 1, kListRight = 2 };

  uint64_t number = 0;  // within its stream
  uint64_t copied = 0, skipped = 0;
  Kind kind = Kind::kAll;
  Into into = Into::kStream;
  // Views of the row, good until the next write, or of what the caller has.
  std::string_view dest;
  std::string_view field, pattern;  // of every kind but kAll
  std::string_view list_field;      // whose value a list gets

  // What makes two bindings of a stream the same one.
  bool SameAs(const Binding& other) const {
    return kind == other.kind && into == other.into && dest == other.dest && field == other.field &&
           pattern == other.pattern && list_field == other.list_field;
  }
};

class Bindings {
 public:
  // The stream must outlive this. Changes of its header are saved at once.
  explicit Bindings(Stream* stream) : stream_(stream) {}

  uint64_t size() const { return stream_->bindings(); }
  // Visits all of them in order until `visit` says false. It must not change rows.
  void Walk(const std::function<bool(const Binding&)>& visit) const;
  // False when it is there already; its counters are those it had.
  bool Add(const Binding& binding);
  // Removes those that lead to `dest`; returns how many.
  uint64_t Remove(std::string_view dest);
  // Counts a copy that was made, or one that was not. The stream's header stays as it is.
  void Count(uint64_t number, bool copied);

 private:
  RowKey RowOf(uint64_t number) const;

  Stream* stream_;
};

}  // namespace sluice
