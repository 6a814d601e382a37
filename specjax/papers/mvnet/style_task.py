"""Training task of the second stage: a classifier of eras, exported with the styles of some paintings."""

from dataclasses import asdict, dataclass

from specjax.engine.task import Part, Tree
from specjax.engine.train_state import TrainState
from specjax.papers.mvnet import data
from specjax.papers.mvnet.judge_task import JudgeTask
from specjax.papers.mvnet.style import SIZES, StyleConfig, StyleInference, collect_styles


@dataclass(frozen=True)
class StyleTask(JudgeTask):
    """Training task of the network whose features define styles. It is trained like a judge.

    config: settings, with the eras filled in.
    name: name of the task.
    """

    config: StyleConfig
    name: str = "mvnet/style"

    def parts(self, state: TrainState, frozen: Tree) -> dict[str, Part]:
        """Return the content of the exported bundle, see `StyleInference`.

        The paintings are read again, at the largest size in `SIZES`.

        Raises:
          UserError: they cannot be read.
        """
        paintings = data.choose_pictures(self.config.data, self.config.paintings, SIZES[-1])
        variables = collect_styles(StyleInference(self.config), self.inference_variables(state), paintings)
        return {"style": Part(variables, asdict(self.config))}
