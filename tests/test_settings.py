"""Settings: profiles, overrides, and errors that say where and what."""

from pathlib import Path

import pytest

from scalper_ml.errors import SettingsError
from scalper_ml.settings import Settings
from scalper_ml.settings_file import load_settings

SHIPPED = Path(__file__).resolve().parents[1] / "config" / "settings.yaml"


def edited(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The shipped file with pieces of text exchanged, each of which must be there."""
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return path


def test_shipped_profiles_load() -> None:
    """The shipped file holds a demo of three planted markets and a profile of 32 coins."""
    demo, majors = load_settings(SHIPPED), load_settings(SHIPPED, profile="majors32")
    assert (demo.profile, len(demo.symbols), demo.horizons) == ("demo", 3, [1, 3])
    assert sorted(m.level for m in demo.source.markets.values()) == ["A", "A", "null"]
    assert (len(majors.symbols), majors.horizons, majors.interval_us) == (32, [1, 3, 5, 15], 15 * 60 * 1_000_000)


def test_profile_lies_over_defaults() -> None:
    """A profile changes the keys it names and keeps its section's other keys."""
    demo, majors = load_settings(SHIPPED), load_settings(SHIPPED, profile="majors32")
    assert demo.backtest.fee_bps == 1.0
    assert majors.backtest.fee_bps == 5.0
    assert demo.backtest.notional == majors.backtest.notional


def test_environment_then_command_line_win() -> None:
    """The environment overrides the file, the command line overrides the environment, other variables are ignored."""
    environment = {"SCALPER__LABELS__K_VOL": "0.5", "SCALPER__HORIZONS": "[2]", "HOME": "x"}
    settings = load_settings(SHIPPED, environment=environment, overrides=["labels.k_vol=0.6"])
    assert settings.labels.k_vol == 0.6
    assert settings.horizons == [2]


def test_names_in_variables_need_not_keep_their_case() -> None:
    """A variable names a section however it is spelled, also below a symbol."""
    settings = load_settings(SHIPPED, environment={"SCALPER__SOURCE__MARKETS__EDGEUSDT__SEED": "5"})
    assert settings.source.markets["EDGEUSDT"].seed == 5


def test_sections_that_the_file_leaves_out_can_be_overridden() -> None:
    """A section at its defaults need not stand in the file to be overridden, by command line or variable."""
    settings = load_settings(
        SHIPPED, environment={"SCALPER__QUALITY__SILENCE_S": "120"}, overrides=["quality.severities={id_gaps: error}"]
    )
    assert settings.quality.silence_s == 120
    assert settings.quality.severities == {"id_gaps": "error"}


def test_environment_chooses_profile() -> None:
    """SCALPER__PROFILE names the profile unless one is named in the call."""
    environment = {"SCALPER__PROFILE": "majors32"}
    assert load_settings(SHIPPED, environment=environment).profile == "majors32"
    assert load_settings(SHIPPED, environment=environment, profile="demo").profile == "demo"


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("k_vol: 0.43", "k_vol: abc", ["line 35", "labels.k_vol", "valid number", "'abc'"]),
        ("kappa: 1.0", "kapa: 1.0", ["line 36", "labels.kapa", "did you mean 'kappa'"]),
        ("test_size: 0.30", "test_size: 0.90", ["splits", "at most 0.80"]),
        (
            "level: A, sigma_bps: 25.0",
            "level: Z, sigma_bps: 25.0",
            ["source.markets.EDGEUSDT.level", "'A', 'B' or 'null'"],
        ),
        ("profile: demo", "profile: nix", ["'nix'", "['demo', 'majors32']"]),
        ("{interval: 1m}", "{interval: 7q}", ["bars.interval", "'7q'", "'15m'"]),
        ("lead: null", "lead: FOOUSDT", ["FOOUSDT", "not one of the symbols"]),
        ("{interval: 1m}", "{interval: 1m", ["line 131", "not valid YAML"]),
        ("kappa: 1.0", "k_vol: 1.0", ["stands twice", "labels.k_vol"]),
        ("max_depth: 3", "max_dept: 3", ["unknown parameters ['max_dept']"]),
        ("families: null", "families: [foo]", ["features", "'foo'", "momentum"]),
        ("windows: {} ", "windows: {rsj: [3]} ", ["features", "'rsj'", "rsi"]),
        ("2026-01-01T00:00:00Z", "soon", ["source.start", "'soon'"]),
        ("root: warehouse/demo", "root: s3://bucket/x", ["storage.root", "local folders"]),
        ("draws: 1000", "draws: 1", ["gate.draws", "200", "found 1"]),
    ],
)
def test_error_names_key_line_and_what_is_allowed(tmp_path: Path, old: str, new: str, parts: list[str]) -> None:
    """A wrong key or value names itself, its line and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        load_settings(edited(tmp_path, (old, new)))
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("labels.k_voll=1", ["override labels.k_voll", "did you mean 'k_vol'"]),
        ("nowhere.y=1", ["unknown section 'nowhere'"]),
        ("labels.k_vol", ["expected section.key=value"]),
        ("symbols=[eth]", ["override symbols", "symbols.0", "'eth'"]),
        ("symbols=[EDGEUSDT, EDGEUSDT]", ["duplicates"]),
        ("symbols=[XUSDT]", ["source.markets lacks ['XUSDT']"]),
        ("splits.seed=-1", ["override splits.seed", "greater than or equal to 0"]),
        ("gate.seed=-1", ["override gate.seed", "greater than or equal to 0"]),
    ],
)
def test_override_error_names_the_override(override: str, parts: list[str]) -> None:
    """A wrong override is named as it was given."""
    with pytest.raises(SettingsError) as caught:
        load_settings(SHIPPED, overrides=[override])
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "name",
    ["backtest.latency_ms", "backtest.fee_bps", "backtest.maker_fee_bps", "labels.k_vol", "live.price_shock",
     "source.days", "book.clock_offset_ms", "drift.max_age_days"],
)  # fmt: skip
def test_numbers_are_finite(name: str, value: str) -> None:
    """No setting is infinite or no number; the refusal names it."""
    with pytest.raises(SettingsError, match=rf"{name}: Input should be .*found -?(inf|nan)"):
        load_settings(SHIPPED, overrides=[f"{name}={value}"])


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told with their place."""
    (tmp_path / "settings.yaml").write_bytes(b"profile: demo\n\xff\xfe")
    with pytest.raises(SettingsError, match=r"settings.yaml: byte 14 is not UTF-8; expected a YAML file in UTF-8"):
        load_settings(tmp_path / "settings.yaml")


def test_missing_file_says_what_was_expected(tmp_path: Path) -> None:
    """A missing settings file is named, with what was expected."""
    with pytest.raises(SettingsError, match=r"not found.*config/settings\.yaml"):
        load_settings(tmp_path / "none.yaml")


def test_settings_survive_json() -> None:
    """Settings written as JSON and read back are equal: runs carry them that way."""
    settings = load_settings(SHIPPED)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_markets_of_scenarios_survive_json() -> None:
    """A market that is a named scenario is written without the figures it does not have, and is read back equal."""
    named = "source.markets.EDGEUSDT={scenario: bounce, seed: 2}"
    settings = load_settings(SHIPPED, overrides=[named])
    written = settings.model_dump(mode="json")
    assert written["source"]["markets"]["EDGEUSDT"] == {"scenario": "bounce", "part": None, "seed": 2}
    assert Settings.model_validate(written) == settings
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    planted = load_settings(SHIPPED).model_dump(mode="json")["source"]["markets"]["EDGEUSDT"]
    assert {"scenario", "level", "rho", "phi"} < set(planted)


def test_fingerprint_depends_on_the_named_sections_only() -> None:
    """A section's fingerprint changes with its values and not with other sections'."""
    one, two = load_settings(SHIPPED), load_settings(SHIPPED, overrides=["labels.k_vol=0.5"])
    assert one.fingerprint("labels") != two.fingerprint("labels")
    assert one.fingerprint("splits", "bars") == two.fingerprint("splits", "bars")


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["labels.kind=both"], "labels.kind"),
        (["labels.kind=triple_barrier", "labels.price=side_mid"], "cannot stand on side_mid"),
        (["labels.kind=triple_barrier", "labels.price=mid"], "cannot stand on mid"),
        (["labels.latency_ms=.inf"], "labels.latency_ms"),
        (["labels.price=mid"], "needs quotes; set book.folder"),
        (["labels.targets=true", "labels.price=trade"], "targets are of a fixed horizon on opens"),
        (["labels.barriers.hold=0"], "labels.barriers.hold"),
        (["labels.price=trade", "source.kind=klines"], "klines have none"),
    ],
)
def test_labels_that_cannot_be_made_are_refused(overrides: list[str], part: str) -> None:
    """Unknown kinds and combinations that no labeller makes say so when the settings are read."""
    with pytest.raises(SettingsError, match=part):
        load_settings(SHIPPED, overrides=overrides)


def test_kinds_to_train_are_known_ones_with_their_parameters(tmp_path: Path) -> None:
    """`training.kinds` names registered kinds, each once; every other key is a kind with parameters it accepts."""
    assert load_settings(SHIPPED).training.kinds == ["xgb_classifier"]
    chosen = load_settings(
        SHIPPED, overrides=["training.kinds=[logistic_classifier]", "training.lgb_classifier.num_leaves=9"]
    )
    assert chosen.training.kinds == ["logistic_classifier"]
    assert chosen.training.params_of("lgb_classifier") == {"num_leaves": 9}
    assert chosen.training.params_of("cat_classifier") == {}
    for override, message in {
        "training.kinds=[oracle]": "'oracle' is unknown; expected one of cat_classifier",
        "training.kinds=[xgb_classifier, xgb_classifier]": "kinds has duplicates",
        "training.kinds=[]": "at least 1",
        "training.kind=xgb_classifier": "model kind 'kind' is unknown",
        "training.lgb_classifier=fast": "expected parameters by name, found 'fast'",
        "training.lgb_classifier.num_leaves=1": "found 1; expected a whole number",
    }.items():
        with pytest.raises(SettingsError, match=message):
            load_settings(SHIPPED, overrides=[override])
