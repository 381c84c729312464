// What EVAL and FCALL share.
#pragma once

#include "src/engine/call.h"

namespace sluice {

// numkeys, the keys, and what follows them.
struct ScriptArgs {
  Args keys, arguments;
  // False after an error.
  bool Read(Call& call, std::string_view not_a_number);
};

}  // namespace sluice
