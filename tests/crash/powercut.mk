# The preloaded library and the small programs of its self-test. Included by the Makefile, or used
# alone from the top of the tree: make -f tests/crash/powercut.mk crash-tools
BUILD ?= build
CXX   ?= g++

CRASH_FLAGS = -std=c++20 -O2 -g -Wall -Wextra -Werror
CRASH_LIB   = tests/crash/powercut.cc tests/crash/undo_log.cc tests/crash/faults.cc

.PHONY: crash-tools
crash-tools: $(BUILD)/libpowercut.so $(BUILD)/powercut-selftest

$(BUILD)/libpowercut.so: $(CRASH_LIB) tests/crash/undo_log.h tests/crash/faults.h
	@mkdir -p $(@D)
	$(CXX) $(CRASH_FLAGS) -fPIC -fvisibility=hidden -shared $(CRASH_LIB) -ldl -lpthread -o $@

$(BUILD)/powercut-selftest: tests/crash/powercut_selftest.cc
	@mkdir -p $(@D)
	$(CXX) $(CRASH_FLAGS) $< -llmdb -lpthread -o $@
