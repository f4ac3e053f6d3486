# `make demo` and `make install` are all that a newcomer needs. Everything here uses cargo's dev profile and one target
# directory, so that RocksDB is compiled once.

SHELL := /bin/bash
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

# The simulator must notice each guard that is broken on purpose.
BROKEN_GUARDS := -p entail-tests --features broken-guards --test simulation broken
# A test of the store likewise.
BROKEN_STORE := -p entail-node --features broken-guards --lib store::tests::deletion

# Where `make install` puts programs, completions and manual pages.
PREFIX ?= $(HOME)/.local
STRIP ?= strip
TARGET := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help build demo install uninstall bench test test-long check check-deploy check-helm check-tools test-kube fix tools

# Where helm and the like are brought to, outside of the clone.
CHECK_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/entail-check-tools
# Tests use what is there: prometheus and promtool.
export PATH := $(CHECK_TOOLS)/bin:$(PATH)
# A compiler that remembers, where Debian's ccache is installed. The path is the same for every clone.
ifneq ($(wildcard /usr/lib/ccache/c++),)
export PATH := /usr/lib/ccache:$(PATH)
endif

help:
	@echo "make demo       build, and answer questions about Debian's packages on a cluster of three nodes"
	@echo "make install    build, and put entail and entail-bench below PREFIX ($(PREFIX)); make uninstall removes them"
	@echo "make bench      build, and measure a small workload; docs/benchmarks.md has the others"
	@echo "make test       build and run the tests"
	@echo "make test-long  the same with many more random cases"
	@echo "make check      everything that must hold before a commit: format, clippy, tests, docs (writes nothing)"
	@echo "make check-deploy, check-helm  image, compose file and Helm chart; make check-tools brings what they, and the test"
	@echo "                of the dashboard, need"
	@echo "make test-kube  the Helm chart on the Kubernetes cluster that KUBECONFIG names (docs/kubernetes.md)"
	@echo "make fix        what can be mended by tools"

# What the build needs, installed on Debian and named elsewhere; and what a first build takes.
tools:
	@bash deploy/tools.sh
	@bash deploy/first-build.sh

build: tools
	$(CARGO) build -p entail-cli -p entail-bench --bins

# The benchmark and its peers are not needed here.
demo: tools
	$(CARGO) build -p entail-cli -p entail-example-debian --bins
	ENTAIL=$(TARGET)/entail examples/debian/demo.sh

install: build
	@PREFIX="$(PREFIX)" STRIP="$(STRIP)" bash deploy/install.sh install "$(TARGET)"

uninstall:
	@PREFIX="$(PREFIX)" bash deploy/install.sh uninstall

bench: build
	$(TARGET)/entail bench lubm --universities 10 --points --runs 3 --against ascent > $(TARGET)/lubm-10.jsonl
	$(TARGET)/entail bench tables $(TARGET)/lubm-10.jsonl

test: tools
	$(CARGO) test --workspace
	$(CARGO) test $(BROKEN_GUARDS)
	$(CARGO) test $(BROKEN_STORE)

test-long: tools
	PROPTEST_CASES=20000 ENTAIL_SIM_SEEDS=100000 ENTAIL_CASES=200000 ENTAIL_CLUSTERS=50 ENTAIL_CLUSTER_CASES=20000 \
		ENTAIL_KILLS=300 ENTAIL_DAMAGES=4000 ENTAIL_CLUSTER_DAMAGES=200 $(CARGO) test --workspace
	$(CARGO) test $(BROKEN_GUARDS)
	$(CARGO) test $(BROKEN_STORE)

check: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace
	$(CARGO) test $(BROKEN_GUARDS)
	$(CARGO) test $(BROKEN_STORE)
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Both use the program that is built ($ENTAIL, or the target directory's), and skip and name what they have no tool for.
check-deploy:
	@deploy/tests/run.sh "$(CHECK_TOOLS)" deploy/tests/check.py

check-helm:
	@deploy/tests/run.sh "$(CHECK_TOOLS)" helm/tests/check.py

check-tools:
	@deploy/tests/tools.sh "$(CHECK_TOOLS)"

# Uses the program that is built, kubectl, and helm; helm/tests/kube/run.py says which settings there are.
test-kube:
	@PATH="$(CHECK_TOOLS)/bin:$$PATH" PYTHONDONTWRITEBYTECODE=1 python3 helm/tests/kube/run.py

fix:
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged
