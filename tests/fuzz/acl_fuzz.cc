// Fuzzes the rules of users and the files they are kept in: what is accepted, written down and read
// back makes the same users, who may do the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "src/engine/acl.h"
#include "src/engine/directive.h"

using namespace sluice;

namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

std::string Text(const Acl& acl) {
  std::string text;
  for (const std::string& line : acl.Describe()) text += line + "\n";
  return text;
}

// What every user is told of some calls.
std::string Rights(const CommandTable& table, const Acl& acl) {
  const std::vector<std::vector<std::string_view>> calls = {
      {"get", "a"},
      {"set", "a", "1"},
      {"set", "b*", "1", "get"},
      {"mset", "a", "1", "x", "2"},
      {"select", "0"},
      {"select", "1"},
      {"publish", "a", "m"},
      {"psubscribe", "a*"},
      {"lpush", "l", ""},
      {"subscribe", "a", "b"},
      {"keys", "*"},
      {"xread", "streams", "s", "0"},
  };
  std::string rights;
  for (const auto& [name, user] : acl.users()) {
    for (const auto& call : calls) {
      Verdict verdict = user->Check(*table.Find(call[0]), call);
      rights += static_cast<char>('0' + static_cast<int>(verdict.denied));
    }
    for (int i = 0; i < table.size(); ++i) {
      const std::string_view words[] = {"x", "y"};
      rights += user->Check(table.at(i), words).denied == Denied::kCommand ? '-' : '+';
    }
  }
  return rights;
}

void CheckRoundTrip(const CommandTable& table, const Config& config, const Acl& acl) {
  Acl again(&table, &config);
  Require(again.LoadText(Text(acl), "f").empty(), "what was saved cannot be loaded");
  Require(Text(again) == Text(acl), "other users come back from a file");
  Require(Rights(table, again) == Rights(table, acl), "other rights come back from a file");

  Config configured;
  Directives directives(&configured);
  for (const std::string& line : acl.DescribeForConfig()) {
    std::vector<std::string> words;
    Require(SplitWords(line, &words), "a line of unbalanced quotes");
    Require(directives.Configure(words[0], {words.begin() + 1, words.end()}).empty(),
            "a line that is no user");
  }
  Acl third(&table, &configured);
  Require(third.LoadAtStart().empty(), "what was rewritten cannot be read");
  Require(Text(third) == Text(acl), "other users come back from the configuration");
}

std::vector<std::string_view> Split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const CommandTable table;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Config config;

  // As a file.
  Acl loaded(&table, &config);
  const std::string before = Text(loaded);
  if (loaded.LoadText(bytes, "f").empty()) {
    CheckRoundTrip(table, config, loaded);
  } else {
    Require(Text(loaded) == before, "a file with errors changed something");
  }

  // As calls of ACL SETUSER: one a line, their words separated by tabs.
  Acl set(&table, &config);
  for (std::string_view line : Split(bytes, '\n')) {
    std::vector<std::string_view> words = Split(line, '\t');
    const std::string was = Text(set);
    if (!set.SetUser(words[0], std::span(words).subspan(1)).empty()) {
      Require(Text(set) == was, "a refused ACL SETUSER changed something");
    }
  }
  CheckRoundTrip(table, config, set);
  return 0;
}
