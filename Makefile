# Sluice. `make run` and `make test` do all the set-up they need; see README.md.
#
#   make            build/sluice, release
#   make run        set up, build, serve        (ARGS="--port 7000" is passed on)
#   make test       set up, build, run every test; ends with "N passed, N failed"
#   make sanitize   the in-process and end-to-end tests under ASan+UBSan, the threaded ones under TSan
#   make compat     the dialogues against redis-server and Sluice, compared; then unmodified clients and job
#                   libraries against both (redis-compat/clients)
#   make fuzz       libFuzzer on everything that parses bytes from outside (FUZZ_SECONDS=60 each)
#   make bench      Sluice and redis-server turn about on this machine, as ratios
#   make soak       the long random differential and crash runs (SOAK_SECONDS=1800 each)
#   make install    PREFIX=/usr/local

CXX      ?= g++
BUILD    ?= build
PREFIX   ?= /usr/local
OPT      ?= -O2
FUZZ_SECONDS ?= 60
CLANG    ?= clang++
SOAK_SECONDS ?= 1800
# Tests spend their time in what they test, and compile three times as fast unoptimised.
OPT_OF    = $(if $(filter tests/%,$(filter-out tests/bench/%,$<)),-O0,$(OPT))
CXXFLAGS  = -std=c++20 $(OPT_OF) -g -Wall -Wextra -Werror -I. $(EXTRA)
LIBS      = -levent_extra -levent_core -llmdb -lcrypto -l:liblua5.1-cjson.a -l:liblua5.1-bitop.a \
            -l:liblua5.1.a -lm -ldl -lpthread

LIB_SRC  := $(wildcard resp/*.cc store/*.cc src/engine/*.cc src/commands/*.cc src/net/*.cc src/tools.cc)
TEST_SRC := $(wildcard tests/main.cc tests/resp/*.cc tests/store/*.cc tests/engine/*.cc tests/commands/*.cc)
THREAD_SRC := tests/main.cc tests/e2e/threads_test.cc $(wildcard tests/store/journal*_test.cc)
E2E_SRC  := tests/main.cc $(wildcard tests/e2e/*.cc)
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.cc)
obj       = $(patsubst %.cc,$(BUILD)/obj/%.o,$(1))

.PHONY: all run test setup sanitize asan tsan compat differential crash fuzz fuzzers bench soak install clean
all: $(BUILD)/sluice

setup:
	@scripts/setup build

run: setup
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/sluice
	@mkdir -p data
	exec $(BUILD)/sluice --dir data $(ARGS)

test:
	@scripts/setup build test
	@scripts/test

$(BUILD)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libsluice.a: $(call obj,$(LIB_SRC))
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/sluice: $(call obj,src/main.cc) $(BUILD)/libsluice.a
	$(CXX) $(EXTRA) $^ $(LIBS) -o $@

$(BUILD)/unit-tests: $(call obj,$(TEST_SRC)) $(BUILD)/libsluice.a
	$(CXX) $(EXTRA) $^ $(LIBS) -o $@

$(BUILD)/e2e-tests: $(call obj,$(E2E_SRC)) $(BUILD)/libsluice.a
	$(CXX) $(EXTRA) $^ $(LIBS) -lhiredis -o $@

# Where threads meet: what ThreadSanitizer looks at.
$(BUILD)/thread-tests: $(call obj,$(THREAD_SRC)) $(BUILD)/libsluice.a
	$(CXX) $(EXTRA) $^ $(LIBS) -lhiredis -o $@

# The load of `make bench` that redis-benchmark cannot make.
$(BUILD)/lifecycle: $(call obj,tests/bench/lifecycle.cc) $(BUILD)/libsluice.a
	$(CXX) $(EXTRA) $^ $(LIBS) -o $@

# build/libpowercut.so, loaded before a server so that its disk can be cut off, and its self-test.
include tests/crash/powercut.mk

# The same targets with other flags, in folders of their own. Clang makes the one with ASan and UBSan,
# with libFuzzer's counters in it: one build shows that clang compiles everything, runs the whole
# suite, and is what the fuzzers link with.
ASAN_FLAGS = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined \
             -fno-omit-frame-pointer
TSAN_FLAGS = -fsanitize=thread
ASAN_MAKE  = $(MAKE) --no-print-directory -s BUILD=$(BUILD)/asan CXX="$(CLANG)" OPT=-O1 \
             EXTRA="$(ASAN_FLAGS)"
asan:
	+@$(ASAN_MAKE) $(BUILD)/asan/unit-tests $(BUILD)/asan/e2e-tests $(BUILD)/asan/sluice
tsan:
	@$(MAKE) --no-print-directory -s BUILD=$(BUILD)/tsan OPT=-O1 EXTRA="$(TSAN_FLAGS)" \
	  $(BUILD)/tsan/thread-tests
sanitize: asan tsan
	$(BUILD)/asan/unit-tests
	SLUICE=$(BUILD)/asan/sluice $(BUILD)/asan/e2e-tests
	$(BUILD)/tsan/thread-tests

FUZZERS := $(patsubst tests/fuzz/%.cc,%,$(FUZZ_SRC))
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libsluice.a
	@mkdir -p $(@D)
	$(CXX) $(EXTRA) -fsanitize=fuzzer $^ $(LIBS) -o $@
fuzzers:
	+@$(ASAN_MAKE) $(FUZZERS:%=$(BUILD)/asan/fuzz/%)
fuzz: fuzzers
	@for f in $(FUZZERS:%=$(BUILD)/asan/fuzz/%); do echo "== $$f"; mkdir -p $$f.corpus; \
	  $$f -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=0 -verbosity=0 $$f.corpus || exit 1; done

compat: $(BUILD)/sluice
	redis-compat/run --sluice $(BUILD)/sluice
	@redis-compat/clients/setup
	redis-compat/clients/run --sluice $(BUILD)/sluice
differential: $(BUILD)/sluice
	redis-compat/differential --sluice $(BUILD)/sluice --seconds 60
crash: $(BUILD)/sluice $(BUILD)/libpowercut.so
	tests/crash/run
bench: $(BUILD)/sluice $(BUILD)/lifecycle
	scripts/bench
soak: $(BUILD)/sluice $(BUILD)/libpowercut.so
	redis-compat/differential --sluice $(BUILD)/sluice --seconds $(SOAK_SECONDS)
	tests/crash/run --seconds $(SOAK_SECONDS)

install: $(BUILD)/sluice
	install -D -m 755 $(BUILD)/sluice $(DESTDIR)$(PREFIX)/bin/sluice

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
