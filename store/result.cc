#include "store/result.h"

#include <cerrno>
#include <cstring>

namespace sluice {

Status Status::FromErrno(int error, const std::string& what) {
  Code code = error == ENOSPC || error == EDQUOT ? Code::kNoSpace : Code::kIoError;
  return Status(code, what + ": " + std::strerror(error));
}

}  // namespace sluice
