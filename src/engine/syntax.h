// The notation in which a Row says what arguments its command takes, and what COMMAND DOCS makes
// of it. It reads like a manual's synopsis:
//
//   key value [condition(NX|XX)@2.6.12] [GET@6.2.0] [expiration(EX=seconds:int|KEEPTTL)]
//
//   name              a string (but `key` alone is a key)
//   name:type         int, double, pattern, time (unix time), key, string; a digit behind it is the
//                     number of the key spec that says where it stands: source:key destination:key1
//   'na:me'           a name with other characters than a-z 0-9 _ -
//   TOKEN             the word itself, an argument named token
//   TOKEN!name        the word itself, an argument with another name; of a token that is no
//                     upper-case word, too: =!equal
//   TOKEN=argument    the word, followed by an argument (or block, or choice)
//   name(a b)         a block: arguments that come together
//   name(a|b)         a choice: one of them
//   argument...       once or several times
//   [argument]        may be left out
//   [argument]...     may be left out or, token included, come several times
//   argument@1.2.3    since that version; @<1.2.3: deprecated since
#pragma once

#include <string>
#include <string_view>

#include "resp/reply_writer.h"

namespace sluice {

// Writes the array of maps that COMMAND DOCS shows as "arguments". `syntax` is not empty, and
// correct: a mistake in a row ends in an assertion, or in a wrong reply.
void WriteArguments(std::string_view syntax, resp::ReplyWriter reply);

// The same for people: Redis's manual style, "key value [NX | XX] [EX seconds | KEEPTTL]".
std::string Synopsis(std::string_view syntax);

}  // namespace sluice
