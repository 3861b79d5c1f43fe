# Every recipe is a script in scripts/, or one line. `make` alone says what there is.

.DEFAULT_GOAL := help
.PHONY: help demo dev web check test journey bench prepare

help: ## Say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: ## Build everything, start it on this machine with the demo municipality, and say who to sign in as
	@scripts/demo

dev: ## The same, rebuilding as you type
	@scripts/dev

web: ## Build the pages, if their sources changed
	@scripts/web

check: ## Formats, lints and types: fast
	@scripts/check

test: ## Every test there is: exactly what CI runs
	@scripts/test

journey: ## One group's journeys in a real browser: make journey R=R3
	@scripts/journey "$(R)"

bench: ## Measure, as ratios to one commit
	@scripts/bench

prepare: ## Refresh everything generated: .sqlx and the TypeScript types
	@scripts/prepare
