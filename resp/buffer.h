// A contiguous, growable run of bytes, filled at the back and emptied from the front.
//
// Connections keep one for what arrived and one for what is to be sent. The live bytes are always
// one piece, so a parser sees a string_view and a socket sees one write.
//
// Cost: appending n bytes in any mixture of sizes moves O(n) bytes in total; consuming moves none.
// Memory: none before the first byte is reserved. Fresh room is not zeroed. When the system has no
// memory left the program ends (as Redis does): nothing here reports failure.
// Lifetimes: every pointer and view taken from a Buffer is good until the next non-const call.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace sluice::resp {

class Buffer {
 public:
  Buffer() = default;
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  // Bytes of memory held, live or not.
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {data_ + begin_, size()}; }
  char* data() { return data_ + begin_; }

  // `bytes` must not lie inside this buffer.
  void Append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(Reserve(bytes.size()), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  void Append(char byte) {
    *Reserve(1) = byte;
    ++end_;
  }

  // Room for at least n bytes behind the live ones; write there, then Commit what was written.
  // When n more than doubles the buffer it gets exactly what was asked for, so that a reader who
  // knows that 512 MB are coming pays for 512 MB and for no copy on the way.
  char* Reserve(size_t n) {
    if (capacity_ - end_ < n) MakeRoom(n);
    return data_ + end_;
  }
  // All the room there is behind the live bytes without moving or allocating anything.
  size_t available() const { return capacity_ - end_; }
  // Makes the first n bytes of the room live; n must not exceed what was reserved.
  void Commit(size_t n) { end_ += n; }

  // Drops n <= size() bytes from the front; O(1).
  void Consume(size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Drops bytes from the back until new_size <= size() are left; O(1).
  void Truncate(size_t new_size) { end_ = begin_ + new_size; }
  // Drops everything, keeps the memory.
  void Clear() { begin_ = end_ = 0; }
  // Gives the memory back if nothing is live and more than `keep` bytes are held.
  void Shrink(size_t keep = 16 * 1024);

  // Puts `text` before the byte at `offset` (counted from the first live byte, <= size()).
  void InsertAt(size_t offset, std::string_view text) { Replace(offset, 0, text); }
  // Puts `text` where `length` bytes at `offset` were; moves only what lies behind them, and
  // nothing when the lengths agree. `text` must not lie inside this buffer.
  void Replace(size_t offset, size_t length, std::string_view text);

 private:
  void MakeRoom(size_t n);

  char* data_ = nullptr;
  size_t capacity_ = 0;
  size_t begin_ = 0;  // first live byte
  size_t end_ = 0;    // one past the last
};

}  // namespace sluice::resp
