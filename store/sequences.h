// Producers that number their messages: how far each has come, so that an old number is known as
// one even when the message is long forgotten (idempotence.h), and lost messages are seen as gaps.
//
// A mark is kept as long as its stream, or until Stop.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "store/group_names.h"
#include "store/stream.h"

namespace sluice {

class Sequences {
 public:
  // The stream must outlive this. Everything is saved at once.
  explicit Sequences(Stream* stream) : stream_(stream) {}

  bool on() const { return stream_->extra_.sequences.scope != 0; }
  void Start();
  // Forgets all marks.
  void Stop();

  // The highest number that a producer has used.
  std::optional<int64_t> Last(std::string_view producer) const;
  // It has used a number above that. Those left out are counted as gaps, but for any before its
  // first.
  void Accept(std::string_view producer, int64_t number);

  struct Mark {
    std::string producer;
    int64_t last;
    uint64_t gaps;
  };
  // In order of their names.
  std::vector<Mark> All() const;

 private:
  NameScope Names() const;

  Stream* stream_;
};

}  // namespace sluice
