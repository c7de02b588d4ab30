"""What all sections have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of the sections: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
