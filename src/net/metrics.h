// From INFO's text to Prometheus's.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// Every sample is a number that stands in `info`; fields that nobody has named a metric for are
// left out. The samples of a metric stand together behind its HELP and TYPE.
std::string Exposition(std::string_view info);

}  // namespace sluice
