// What there is to configure: one row per directive, with its type, and where its value is kept.
//
// A value has one canonical text, the one that CONFIG GET shows. Check makes it from what was
// typed, Read and Write move it from and to the Config.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/engine/config.h"

namespace sluice {

struct Directive {
  enum Kind : uint8_t {
    kBool,
    kInteger,
    kMemory,         // 64mb
    kMemoryPercent,  // 64mb or 5%
    kOctal,
    kChoice,   // one of `words`
    kChoices,  // several of `words`
    kText,
    kWords,  // any number of words
    kSave,
    kOutputLimits,
    kKeyspaceEvents,
    kScoreAdjustments,  // oom-score-adj-values
    kPercentiles,
    kTitle,  // proc-title-template
  };
  enum Flag : uint8_t {
    kImmutable = 1,  // CONFIG SET refuses
    kProtected = 2,  // the same, in other words
    kHidden = 4,     // shown by CONFIG GET only when asked for by name
    // Set when the server starts. CONFIG SET takes the value that it has already.
    kFixed = 8,
    kRefused = 16,  // only the default is accepted: what it asks for would be missed
    kSecret = 32,   // not shown in MONITOR and SLOWLOG
  };
  // Reads and writes a member that is no plain text, number or truth.
  struct Access {
    std::string (*read)(const Config&);
    void (*write)(Config*, const std::string& canonical);
  };
  // A text stands for a directive that means nothing here, and is its default.
  using Place = std::variant<std::string_view, bool Config::*, int64_t Config::*,
                             std::string Config::*, Access>;

  std::string_view name;
  std::string_view alias;
  Kind kind;
  Place place;
  int64_t low = 0, high = INT64_MAX;
  std::string_view words = {};
  int flags = 0;

  bool means_nothing() const { return std::holds_alternative<std::string_view>(place); }
  // Several values on a line (CONFIG SET: separated by blanks).
  bool takes_many() const { return kind == kChoices || kind >= kWords; }

  // Checks what was typed. Empty, and *canonical set, or what is wrong with it in Redis's words.
  // Some kinds change only part of the value there was.
  std::string Check(const std::vector<std::string>& values, const std::string& before,
                    std::string* canonical) const;
  std::string Read(const Config& config) const;
  void Write(Config* config, const std::string& canonical) const;
};

const std::vector<Directive>& AllDirectives();
// By name or alias, in any letter case; nullptr when there is none.
const Directive* FindDirective(std::string_view name);

// Words separated by blanks, with Redis's quotes and escapes; false when they are not balanced.
bool SplitWords(std::string_view line, std::vector<std::string>* words);

}  // namespace sluice
