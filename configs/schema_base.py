"""The base class of all configuration sections and the number ranges that several keys share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LISTED = Field(strict=False)  # YAML has lists where the schema has tuples; the items of the list stay strict
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
FractionBelowOne = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Number = Annotated[float, Field()]
NonNegativeFloat = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A section of the configuration: frozen, without unknown keys, type coercion or infinite numbers.

    Types are strict: `true` is no number, and the text "1" is no number either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False)
