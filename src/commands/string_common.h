// What the files of the string family share.
#pragma once

#include <optional>

#include "src/engine/call.h"
#include "store/string.h"

namespace sluice {

String OpenString(Call& call, Key* key);

// Looks a string up that is to be changed: an access, but neither hit nor miss. False when the key
// has another type, after replying WRONGTYPE.
bool FindToChange(Call& call, std::string_view name, Key** key);

// Replies a stretch of a string, without gathering a long one first.
void ReplyStretch(Call& call, String* string, uint64_t offset, uint64_t length);
void ReplyValue(Call& call, Key* key);

// Gives `name` a value, whatever it was (`key`, or nullptr for nothing).
Key* SetValue(Call& call, Key* key, std::string_view name, std::string_view value,
              bool keep_expiry = false);
// The same, with a time to live or without, and says so.
void SetAndExpire(Call& call, Key* key, std::string_view name, std::string_view value,
                  std::optional<int64_t> expires_at, bool keep_ttl);

void AddStringEditRows(Rows* rows);
void AddNewerStringRows(Rows* rows);
void AddLcsRows(Rows* rows);

}  // namespace sluice
