// How the store reports failure.
//
// Status is an outcome without a value, Result<T> one with. Both are cheap when all is well
// (no allocation) and carry a sentence for the operator when it is not. Exceptions are for
// start-up only, because libevent, LMDB and Lua are C frames.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace sluice {

enum class Code : unsigned char {
  kOk,
  kIoError,  // the operating system or LMDB refused; errno's text is in the message
  kNoSpace,  // the disk (or quota) is full
  kCorrupt,  // bytes on disk are not what was written; names the file and offset
  kTooNew,   // a file of a later format version than this program knows
  kBusy,     // another process has the directory
  kInvalid,  // the caller's argument makes no sense
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status Ok() { return {}; }
  // "what: strerror(error)"; ENOSPC and EDQUOT become kNoSpace.
  static Status FromErrno(int error, const std::string& what);

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  T* operator->() { return &*value_; }
  T& operator*() { return *value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace sluice

// Leaves the function with the failure, if it is one.
#define TRY(expression)                                                                  \
  do {                                                                                   \
    if (::sluice::Status try_status = (expression); !try_status.ok()) return try_status; \
  } while (0)
