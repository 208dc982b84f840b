"""What files of the user's own may say of a search."""

import pytest
import yaml
from hydra import compose, initialize_config_dir

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.search.settings import Settings, read_settings


def settings_of(*overrides: str) -> Settings:
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        cfg = compose(config.CONFIG_NAME, list(overrides))
    plain = {key: config.resolve(cfg[key]) for key in ("sweep", "launcher", "trainer")}
    return read_settings({**plain, "seed": 0, "objective": {"metric": "val/acc", "mode": "max"}})


# A file of the user's own adds keys without being asked, as + does here.
@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("+sweep.num_trails=3", r"there is no key sweep.num_trails \(did you mean num_trials\?\); there are name, "),
        ("+sweep.constraint=[]", r"there is no key sweep.constraint \(did you mean constraints\?\)"),
    ],
)
def test_a_misspelled_key_of_a_file_is_refused(added, words):
    with pytest.raises(ConfigError, match=words):
        settings_of("sweep=tpe", added)


@pytest.mark.parametrize("path", sorted((config.CONF_DIR / "sweep").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_of_our_own_files_is_known(path):
    if "sampler" in yaml.safe_load(path.read_text()).get("sweep", {}):
        assert settings_of(f"sweep={path.stem}").sampler
