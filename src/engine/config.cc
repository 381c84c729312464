#include "src/engine/config.h"

#include <set>

#include "src/engine/call.h"
#include "src/engine/directive.h"

namespace sluice {
namespace {

bool Differs(const Directive& d, const Config& config, const std::string& canonical) {
  return d.Read(config) != canonical;
}

std::string Failed(const std::string& name, const std::string& why) {
  return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::string Directives::Configure(std::string_view name, const std::vector<std::string>& values) {
  if (Lower(name) == "user" && !values.empty()) return AddUser(values);
  const Directive* d = FindDirective(name);
  if (!d) return "Bad directive or wrong number of arguments";
  std::string before = d->Read(*config_), canonical;
  std::string error = d->Check(values, before, &canonical);
  if (!error.empty()) return error;
  if ((d->flags & Directive::kRefused) && canonical != before) {
    return "Sluice has nothing to offer for this directive, and would not do what it asks for";
  }
  // Lines of "save" add up, until one takes all of it back.
  if (d->kind == Directive::kSave && !canonical.empty() && !before.empty()) {
    canonical = before + " " + canonical;
  }
  d->Write(config_, canonical);
  // Worth a note only where something else was asked for than what is so anyway.
  if (d->means_nothing() && canonical != std::get<std::string_view>(d->place)) {
    config_->ignored_given[std::string(d->name)] = canonical;
  }
  return {};
}

// A user is no directive: nobody can ask for it, or set it, by CONFIG. Its rules are checked when
// there are commands to check them by.
std::string Directives::AddUser(const std::vector<std::string>& words) {
  for (const std::vector<std::string>& user : config_->users) {
    if (user[0] == words[0]) {
      return "Error in user declaration '" + words[0] +
             "': Duplicate user found. A user can only be defined once in config files";
    }
  }
  config_->users.push_back(words);
  return {};
}

std::string Directives::Set(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<const Directive*> directives;
  std::set<std::string> names;
  for (const auto& [name, value] : pairs) {
    const Directive* d = FindDirective(name);
    if (!d) return "ERR Unknown option or number of arguments for CONFIG SET - '" + name + "'";
    if (d->flags & Directive::kImmutable) return Failed(name, "can't set immutable config");
    if (d->flags & Directive::kProtected) return Failed(name, "can't set protected config");
    // An alias is another name: the last one counts.
    if (!names.insert(Lower(name)).second) return Failed(name, "duplicate parameter");
    directives.push_back(d);
  }

  std::vector<std::string> before;
  for (const Directive* d : directives) before.push_back(d->Read(*config_));
  auto restore = [&] {
    for (size_t i = directives.size(); i-- > 0;) directives[i]->Write(config_, before[i]);
  };
  for (size_t i = 0; i < directives.size(); ++i) {
    const Directive* d = directives[i];
    std::vector<std::string> values = {pairs[i].second};
    if (d->takes_many()) {
      values.clear();
      SplitWords(pairs[i].second, &values);
    }
    std::string canonical;
    std::string error = d->Check(values, before[i], &canonical);
    bool fixed = d->flags & (Directive::kFixed | Directive::kRefused);
    if (error.empty() && fixed && canonical != before[i]) {
      error = "can't be changed while the server runs";
    }
    if (!error.empty()) return restore(), Failed(pairs[i].first, error);
    d->Write(config_, canonical);
  }
  for (size_t i = 0; listener_ && i < directives.size(); ++i) {
    if (!Differs(*directives[i], *config_, before[i])) continue;
    std::string error = listener_(directives[i]->name);
    if (error.empty()) continue;
    restore();
    for (size_t j = 0; j <= i; ++j) listener_(directives[j]->name);
    return Failed(pairs[i].first, error);
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> Directives::Get(
    const std::vector<std::string_view>& globs) const {
  std::vector<std::pair<std::string, std::string>> out;
  std::set<std::string> seen;
  for (std::string_view glob : globs) {
    if (glob.find_first_of("[*?") == std::string_view::npos) {
      // Shown as it was asked for.
      const Directive* d = FindDirective(glob);
      if (d && seen.insert(Lower(glob)).second) out.emplace_back(glob, d->Read(*config_));
      continue;
    }
    for (const Directive& d : AllDirectives()) {
      if (d.flags & Directive::kHidden) continue;
      for (std::string_view name : {d.name, d.alias}) {
        if (name.empty() || !GlobMatch(glob, name, true)) continue;
        if (seen.insert(std::string(name)).second) out.emplace_back(name, d.Read(*config_));
      }
    }
  }
  return out;
}

}  // namespace sluice
