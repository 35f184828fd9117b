"""The public names and the rooms that they come from: the one list of them, which `workbench` reads when imported."""

from workbench import (
    exercises as exercises,
)
from workbench.data import (
    Events as Events,
)
from workbench.data import (
    GroupedData as GroupedData,
)
from workbench.data import (
    Partitions as Partitions,
)
from workbench.data import (
    Step as Step,
)
from workbench.data import (
    load_example as load_example,
)
from workbench.data import (
    read_data as read_data,
)
from workbench.diagnostics import (
    Goodness as Goodness,
)
from workbench.diagnostics import (
    Influence as Influence,
)
from workbench.diagnostics import (
    NormalityTests as NormalityTests,
)
from workbench.diagnostics import (
    Npde as Npde,
)
from workbench.diagnostics import (
    RandomEffects as RandomEffects,
)
from workbench.diagnostics import (
    Vpc as Vpc,
)
from workbench.diagnostics import (
    gof as gof,
)
from workbench.diagnostics import (
    influence as influence,
)
from workbench.diagnostics import (
    npde as npde,
)
from workbench.diagnostics import (
    random_effects as random_effects,
)
from workbench.diagnostics import (
    residuals as residuals,
)
from workbench.diagnostics import (
    vpc as vpc,
)
from workbench.engine import (
    fit as fit,
)
from workbench.engine import (
    initial_values as initial_values,
)
from workbench.engine import (
    objective as objective,
)
from workbench.engine import (
    predict as predict,
)
from workbench.errors import (
    DataError as DataError,
)
from workbench.errors import (
    Fault as Fault,
)
from workbench.errors import (
    FileError as FileError,
)
from workbench.errors import (
    FitError as FitError,
)
from workbench.errors import (
    ModelError as ModelError,
)
from workbench.errors import (
    WorkbenchError as WorkbenchError,
)
from workbench.exchange import (
    Estimates as Estimates,
)
from workbench.exchange import (
    NonmemRun as NonmemRun,
)
from workbench.exchange import (
    read_nonmem as read_nonmem,
)
from workbench.exchange import (
    to_xpose as to_xpose,
)
from workbench.exchange import (
    write_mlxtran as write_mlxtran,
)
from workbench.exchange import (
    write_nlmixr2 as write_nlmixr2,
)
from workbench.exchange import (
    write_nonmem as write_nonmem,
)
from workbench.findings import (
    Finding as Finding,
)
from workbench.inference import (
    Bootstrap as Bootstrap,
)
from workbench.inference import (
    LikelihoodRatioTest as LikelihoodRatioTest,
)
from workbench.inference import (
    Profile as Profile,
)
from workbench.inference import (
    ProfilePoint as ProfilePoint,
)
from workbench.inference import (
    Sir as Sir,
)
from workbench.inference import (
    SirIteration as SirIteration,
)
from workbench.inference import (
    bootstrap as bootstrap,
)
from workbench.inference import (
    likelihood_ratio_test as likelihood_ratio_test,
)
from workbench.inference import (
    profile as profile,
)
from workbench.inference import (
    sir as sir,
)
from workbench.markup import (
    json_schema as json_schema,
)
from workbench.methods import (
    Importance as Importance,
)
from workbench.methods import (
    Quadrature as Quadrature,
)
from workbench.methods import (
    Saem as Saem,
)
from workbench.methods import (
    TwoStage as TwoStage,
)
from workbench.model import (
    PK as PK,
)
from workbench.model import (
    PKPD as PKPD,
)
from workbench.model import (
    Block as Block,
)
from workbench.model import (
    Combined as Combined,
)
from workbench.model import (
    Combined2 as Combined2,
)
from workbench.model import (
    Constant as Constant,
)
from workbench.model import (
    Effect as Effect,
)
from workbench.model import (
    Equation as Equation,
)
from workbench.model import (
    ErrorParameter as ErrorParameter,
)
from workbench.model import (
    Exponential as Exponential,
)
from workbench.model import (
    Model as Model,
)
from workbench.model import (
    Ode as Ode,
)
from workbench.model import (
    Parameter as Parameter,
)
from workbench.model import (
    ParameterInfo as ParameterInfo,
)
from workbench.model import (
    Power as Power,
)
from workbench.model import (
    Proportional as Proportional,
)
from workbench.model import (
    ResidualError as ResidualError,
)
from workbench.model import (
    Shape as Shape,
)
from workbench.model import (
    Structure as Structure,
)
from workbench.model import (
    Transform as Transform,
)
from workbench.model import (
    add_shape as add_shape,
)
from workbench.model import (
    equation as equation,
)
from workbench.model import (
    ode as ode,
)
from workbench.model import (
    pk as pk,
)
from workbench.model import (
    pkpd as pkpd,
)
from workbench.model import (
    remove_shape as remove_shape,
)
from workbench.noncompartmental import (
    Equivalence as Equivalence,
)
from workbench.noncompartmental import (
    Noncompartmental as Noncompartmental,
)
from workbench.noncompartmental import (
    bioequivalence as bioequivalence,
)
from workbench.noncompartmental import (
    nca as nca,
)
from workbench.parallel import (
    Cluster as Cluster,
)
from workbench.parallel import (
    cluster as cluster,
)
from workbench.reporting import (
    report as report,
)
from workbench.reporting import (
    report_tables as report_tables,
)
from workbench.results import (
    Criteria as Criteria,
)
from workbench.results import (
    Estimate as Estimate,
)
from workbench.results import (
    FitResult as FitResult,
)
from workbench.results import (
    PartitionedFit as PartitionedFit,
)
from workbench.results import (
    Progress as Progress,
)
from workbench.results import (
    Rival as Rival,
)
from workbench.results import (
    Run as Run,
)
from workbench.results import (
    Runs as Runs,
)
from workbench.results import (
    Start as Start,
)
from workbench.results import (
    Status as Status,
)
from workbench.screening import (
    Candidate as Candidate,
)
from workbench.screening import (
    Comparison as Comparison,
)
from workbench.screening import (
    Contrast as Contrast,
)
from workbench.screening import (
    FullCovariateModel as FullCovariateModel,
)
from workbench.screening import (
    Inclusion as Inclusion,
)
from workbench.screening import (
    LinearisedScreen as LinearisedScreen,
)
from workbench.screening import (
    Prediction as Prediction,
)
from workbench.screening import (
    RandomisationTest as RandomisationTest,
)
from workbench.screening import (
    Refusal as Refusal,
)
from workbench.screening import (
    RefusedEffect as RefusedEffect,
)
from workbench.screening import (
    Screening as Screening,
)
from workbench.screening import (
    StepProgress as StepProgress,
)
from workbench.screening import (
    Stepwise as Stepwise,
)
from workbench.screening import (
    Tested as Tested,
)
from workbench.screening import (
    Trial as Trial,
)
from workbench.screening import (
    UsableCovariate as UsableCovariate,
)
from workbench.screening import (
    bootstrap_inclusion as bootstrap_inclusion,
)
from workbench.screening import (
    compare as compare,
)
from workbench.screening import (
    forest as forest,
)
from workbench.screening import (
    full_covariate_model as full_covariate_model,
)
from workbench.screening import (
    linearised_screen as linearised_screen,
)
from workbench.screening import (
    randomisation_test as randomisation_test,
)
from workbench.screening import (
    screen as screen,
)
from workbench.screening import (
    stepwise as stepwise,
)
from workbench.simulation import (
    Attainment as Attainment,
)
from workbench.simulation import (
    Design as Design,
)
from workbench.simulation import (
    EffectPower as EffectPower,
)
from workbench.simulation import (
    FoundDose as FoundDose,
)
from workbench.simulation import (
    Individual as Individual,
)
from workbench.simulation import (
    Information as Information,
)
from workbench.simulation import (
    Optimised as Optimised,
)
from workbench.simulation import (
    Regimen as Regimen,
)
from workbench.simulation import (
    Simulation as Simulation,
)
from workbench.simulation import (
    attainment as attainment,
)
from workbench.simulation import (
    find_dose as find_dose,
)
from workbench.simulation import (
    individualise as individualise,
)
from workbench.simulation import (
    information as information,
)
from workbench.simulation import (
    optimise as optimise,
)
from workbench.simulation import (
    simulate as simulate,
)
from workbench.studies import (
    Study as Study,
)
from workbench.studies import (
    load as load,
)
from workbench.ui import (
    Workbench as Workbench,
)

__version__: str
