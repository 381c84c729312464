#include "resp/buffer.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace sluice::resp {
namespace {

constexpr size_t kFirstCapacity = 256;
// Doubling wastes up to half of the memory; past this size growth is by a quarter, which is still
// geometric and, with realloc moving pages instead of bytes, no slower.
constexpr size_t kDoublingEnds = 16 * 1024 * 1024;

[[noreturn]] void OutOfMemory(size_t wanted) {
  std::fprintf(stderr, "Out of memory: a buffer of %zu bytes\n", wanted);
  std::abort();
}

}  // namespace

Buffer::~Buffer() { std::free(data_); }

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  return *this;
}

void Buffer::MakeRoom(size_t n) {
  const size_t live = size();
  // Sliding to the front is paid for by the bytes consumed since the last slide, as long as there
  // are at least as many of them as bytes to move.
  if (begin_ >= live && capacity_ - live >= n) {
    std::memcpy(data_, data_ + begin_, live);
    begin_ = 0;
    end_ = live;
    return;
  }
  if (n > SIZE_MAX / 2 - live) OutOfMemory(n);
  const size_t grown = capacity_ + (capacity_ < kDoublingEnds ? capacity_ : capacity_ / 4);
  // A short dead prefix is not worth giving up realloc for, which may extend in place.
  if (begin_ <= live / 8) {
    const size_t capacity = std::max({end_ + n, grown, kFirstCapacity});
    char* data = static_cast<char*>(std::realloc(data_, capacity));
    if (data == nullptr) OutOfMemory(capacity);
    data_ = data;
    capacity_ = capacity;
    return;
  }
  const size_t capacity = std::max({live + n, grown, kFirstCapacity});
  char* data = static_cast<char*>(std::malloc(capacity));
  if (data == nullptr) OutOfMemory(capacity);
  std::memcpy(data, data_ + begin_, live);
  std::free(data_);
  data_ = data;
  capacity_ = capacity;
  begin_ = 0;
  end_ = live;
}

void Buffer::Shrink(size_t keep) {
  if (!empty() || capacity_ <= keep) return;
  std::free(data_);
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void Buffer::Replace(size_t offset, size_t length, std::string_view text) {
  if (text.size() > length) Reserve(text.size() - length);
  if (data_ == nullptr) return;  // nothing by nothing in a buffer never used
  char* at = data() + offset;
  if (text.size() != length) {
    std::memmove(at + text.size(), at + length, size() - offset - length);
    end_ = end_ - length + text.size();
  }
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
}

}  // namespace sluice::resp
