#include "store/spread.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

// The rows of a window are spread evenly over it. The wider a window, the emptier it has to be to
// be chosen, which leaves room enough that most insertions find some and most others need a narrow
// window only: an insertion moves O(log n) rows on average, wherever it goes (Bender et al., "Two
// simplified algorithms for maintaining order in a list").
uint64_t SpreadRows(Env* env, Table table, const RowKey& stem, uint64_t number,
                    const std::function<void(uint64_t, uint64_t)>& moved) {
  constexpr double kOverflow = 1.3;
  auto row_of = [&](uint64_t n) { return RowKey(stem).U64(n); };
  auto number_of = [&](const Cursor& rows) { return ReadKeyU64(rows.key().data() + stem.size()); };
  std::vector<std::pair<uint64_t, std::string>> window;
  double capacity = 1;
  for (int bits = 1;; ++bits) {
    capacity *= 2 / kOverflow;
    uint64_t size = uint64_t{1} << bits;
    uint64_t first = number & ~(size - 1), last = first + (size - 1);
    window.clear();
    bool fits = true;
    Cursor rows(env, table);
    for (bool more = rows.SeekAtLeast(row_of(first));
         fits && more && rows.key().starts_with(stem.view()) && number_of(rows) <= last;
         more = rows.Next()) {
      window.emplace_back(number_of(rows), rows.value());
      fits = bits == 63 || (window.size() + 1 <= capacity && window.size() * 4 <= size);
    }
    if (!fits) continue;

    env->DeleteRange(table, row_of(first), row_of(last).U8(0));
    uint64_t step = size / std::max<uint64_t>(window.size(), 1);
    uint64_t to = first + step / 2, found = number;
    for (const auto& [from, value] : window) {
      env->Put(table, row_of(to), value);
      if (from == number) found = to;
      if (moved) moved(from, to);
      to += step;
    }
    return found;
  }
}

}  // namespace sluice
