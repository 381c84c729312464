// The offline subcommands of the program; each returns its exit status.
#pragma once

namespace sluice {

// sluice check [--repair] DIR
int CheckCommand(int argc, char** argv);

}  // namespace sluice
