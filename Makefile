# make demo | demo-melody | demo-mvnet | demo-texture | test | bench: each makes its own environment, from nothing but Python and make.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
READY = $(VENV)/.ready

.PHONY: demo demo-melody demo-mvnet demo-texture test test-long test-versions bench check format clean

demo: $(READY)
	$(RUN) -m specjax.train --config=unet:tiny --workdir=demo/run
	$(RUN) -m specjax.export --workdir=demo/run --out=demo/bundle.new
	rm -rf demo/bundle && mv demo/bundle.new demo/bundle
	$(RUN) -m specjax.synth chord --bundle=demo/bundle --out=demo/chords --overwrite \
		$(foreach d,0 1 2 3 4 5 6 7 8 9,--digit=$(d))
	cp demo/run/samples/*/contact_sheet.png demo/contact_sheet.png
	$(RUN) -m specjax.evaluate --workdir=demo/run
	@echo "look at demo/contact_sheet.png and listen to demo/chords/*.wav"

demo-melody: $(READY)
	$(RUN) -m specjax.train --config=judge_genre:tiny --workdir=demo/melody/judge_run
	$(RUN) -m specjax.export --workdir=demo/melody/judge_run --out=demo/melody/judge.new
	rm -rf demo/melody/judge && mv demo/melody/judge.new demo/melody/judge
	$(RUN) -m specjax.train --config=gan:tiny --config.judge=demo/melody/judge --workdir=demo/melody/run
	$(RUN) -m specjax.export --workdir=demo/melody/run --out=demo/melody/bundle.new
	rm -rf demo/melody/bundle && mv demo/melody/bundle.new demo/melody/bundle
	$(RUN) -m specjax.synth melody --bundle=demo/melody/bundle --count=2 --out=demo/melody/pieces --overwrite
	cp demo/melody/pieces/grid.png demo/melody/grid.png
	$(RUN) -m specjax.evaluate --workdir=demo/melody/run
	@echo "look at demo/melody/grid.png and listen to demo/melody/pieces/*.wav"

demo-mvnet: $(READY)
	$(RUN) -m specjax.train --config=encoder:tiny --workdir=demo/mvnet/encoder
	$(RUN) -m specjax.train --config=judge_era:tiny --workdir=demo/mvnet/judge_run
	$(RUN) -m specjax.export --workdir=demo/mvnet/judge_run --out=demo/mvnet/judge.new
	rm -rf demo/mvnet/judge && mv demo/mvnet/judge.new demo/mvnet/judge
	$(RUN) -m specjax.train --config=style:tiny --workdir=demo/mvnet/style_run
	$(RUN) -m specjax.export --workdir=demo/mvnet/style_run --out=demo/mvnet/style.new
	rm -rf demo/mvnet/style && mv demo/mvnet/style.new demo/mvnet/style
	$(RUN) -m specjax.train --config=cdcgan:tiny --config.encoder=demo/mvnet/encoder \
		--config.judge=demo/mvnet/judge --config.style=demo/mvnet/style --workdir=demo/mvnet/run
	$(RUN) -m specjax.export --workdir=demo/mvnet/run --out=demo/mvnet/bundle.new
	rm -rf demo/mvnet/bundle && mv demo/mvnet/bundle.new demo/mvnet/bundle
	$(RUN) -m specjax.synth museum --composition=11 --out=demo/mvnet/pieces --overwrite
	$(RUN) -m specjax.synth paint demo/mvnet/pieces/romantic.wav --bundle=demo/mvnet/bundle --count=12 \
		--out=demo/mvnet/romantic --overwrite
	$(RUN) -m specjax.synth paint demo/mvnet/pieces/baroque.wav --bundle=demo/mvnet/bundle --count=4 \
		--size=256 --refine --out=demo/mvnet/refined --overwrite
	cp demo/mvnet/run/samples/0001000/collage_*.png demo/mvnet/
	$(RUN) -m specjax.evaluate --workdir=demo/mvnet/run
	@echo "look at demo/mvnet/collage_*.png, demo/mvnet/romantic/collage.png and demo/mvnet/refined/collage.png"

demo-texture: $(READY)
	$(RUN) -m specjax.train --config=classifier:small --workdir=demo/texture/run
	$(RUN) -m specjax.export --workdir=demo/texture/run --out=demo/texture/bundle.new
	rm -rf demo/texture/bundle && mv demo/texture/bundle.new demo/texture/bundle
	$(RUN) -m specjax.synth sounds --out=demo/texture/sounds --overwrite
	$(RUN) -m specjax.synth classify demo/texture/sounds/rooster.wav --bundle=demo/texture/bundle
	$(RUN) -m specjax.synth style --content=demo/texture/sounds/dog_bark.wav --style=demo/texture/sounds/rain.wav \
		--out=demo/texture/dog_as_rain.wav --plot=demo/texture/dog_as_rain.png --overwrite
	$(RUN) -m specjax.synth panels --content=demo/texture/sounds/crying_baby.wav \
		--style=demo/texture/sounds/rooster.wav --bundle=demo/texture/bundle --iterations=200 \
		--out=demo/texture/figure_1 --overwrite
	$(RUN) -m specjax.evaluate --workdir=demo/texture/run
	@echo "look at demo/texture/figure_1/panels.png and listen to demo/texture/*.wav"

test: check
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

# All tests, with programs as the commands compile them, without the flags that make `test` fast.
test-long: $(READY)
	XLA_FLAGS= $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "long or not long"

# The suite under Python 3.11 and 3.12, which have different releases of jax, where they are installed.
test-versions:
	@for version in 3.11 3.12; do \
		if python$$version -c "" 2>/dev/null; \
		then $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
		else echo "python$$version is not installed: not tested"; fi; \
	done

bench: $(READY)
	$(RUN) -m specjax.bench --config=unet

check: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(READY)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean:
	rm -rf demo runs bundles build dist

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -e '.[dev]'
	touch $(READY)
