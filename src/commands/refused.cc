// Commands of Redis that Sluice leaves out on purpose, and what it says to whoever sends one. They
// have no rows: COMMAND does not know them, and a row of the same name goes before.
#include <string>

#include "src/commands/families.h"

namespace sluice {
namespace {

struct Refused {
  std::string_view names;  // lower case, with a blank on either side of each
  std::string_view lacks;  // what "Sluice does not have"; empty: `answer` is all there is to say
  std::string_view answer = {};
};

constexpr Refused kRefused[] = {
    {" geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro"
     " geosearch geosearchstore ",
     "geospatial indexes"},
    {" pfadd pfcount pfdebug pfmerge pfselftest ", "HyperLogLogs"},
    {" arcount ardel ardelrange arget argetrange argrep arinfo arinsert arlastitems arlen armget"
     " armset arnext arop arring arscan arseek arset ",
     "arrays"},
    {" vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vrem vsetattr vsim ",
     "vector sets"},
    {" dump restore restore-asking migrate ", "serialized values"},
    {" psync sync replconf ", "replication in Redis's protocol"},
    {" himport ", "compact hashes"},
    {" sunioncard sdiffcard ", "counts of unions and differences"},
    {" backup ", "backups by command"},
    {" hotkeys ", "a tracker of hot keys"},
    {" gcra ", "a rate limiter"},
    {" module|load module|loadex module|unload ", "modules"},
    {" cluster asking readonly readwrite ", "", "ERR This instance has cluster support disabled"},
    {" failover ", "", "ERR FAILOVER requires connected replicas."},
};

// Commands of modules that Redis 8 comes with have names of this kind.
constexpr std::string_view kModules[] = {"bf.",   "cf.",      "cms.",  "ft.",
                                         "json.", "tdigest.", "topk.", "ts."};

}  // namespace

std::string RefusedOnPurpose(std::string_view name, std::string_view shown) {
  std::string word;
  for (char c : name) word += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  bool subcommand = word.find('|') != std::string::npos;
  auto text = [&](std::string_view lacks) {
    return std::string("ERR unknown ") + (subcommand ? "subcommand '" : "command '") +
           std::string(shown) + "': Sluice does not have " + std::string(lacks);
  };
  for (std::string_view prefix : kModules) {
    if (word.starts_with(prefix)) return text("modules");
  }
  if (word.find(' ') != std::string::npos) return {};
  word = " " + word + " ";
  for (const Refused& refused : kRefused) {
    if (refused.names.find(word) == std::string_view::npos) continue;
    return refused.lacks.empty() ? std::string(refused.answer) : text(refused.lacks);
  }
  return {};
}

}  // namespace sluice
