"""Models and data as other tools state them.

=================  ================================================  ==============================================
record of NONMEM   read                                              written
=================  ================================================  ==============================================
$INPUT, $DATA      names, synonyms, DROP; IGNORE, ACCEPT, NULL; not  one file of numbers; labels become codes that a
                   dates, clock times, L2, PCMT, CONT, CALL, a       comment explains
                   format, TRANSLATE, RECORDS
$ABBREVIATED       REPLACE of one name by THETA(n), ETA(n), EPS(n)   -
$SUBROUTINES       ADVAN1-4, 10-12 with TRANS1-6; 5, 7; 6, 8, 9,     ADVAN1-4, 11, 12 with TRANS1, 2, 4; 13 (6 if not
                   13-15 with $DES                                   stiff)
$MODEL             COMP with DEFDOSE, DEFOBS; not EQUILIBRIUM,       COMP
                   INITIALOFF, NOOFF
$PK, $PRED         assignments, IFs in any order and within one      the same; values of a record are columns
                   another, complementary IFs (asked of the data),
                   thetas, random effects, covariates, TIME, NEWIND,
                   values kept from record to record, MU_; ALAG, F,
                   D, R, S, A_0; not MTIME, A(n), loops, calls,
                   verbatim code, mixtures, CALLFL of 0 or 1
$DES               as $PK, with T                                    as $PK
$ERROR             constant, proportional, combined (both), power;   the standard deviation from thetas, $SIGMA 1;
                   LOG(F); responses by a column; F of CMT; M3 by    responses by DVID; M3 by F_FLAG
                   F_FLAG and columns; not -2LL, M2, M4, a
                   deviation of random effects
$THETA             initial values, bounds, FIX, (...)xn; not         the same
                   without an initial value
$OMEGA             diagonal, BLOCK, FIX, SD, CORRELATION, CHOLESKY,  diagonal, BLOCK, FIX, SAME; not blocks fixed in
                   VALUES, SAME for the occasions of a column; not   part
                   a 0 within a block
$SIGMA             as $OMEGA; a BLOCK if no Y has two of its EPS     1 FIX
$ESTIMATION        the last: FO, FOCE, FOCEI, Laplace, IMP, SAEM;    the same
                   not ITS, BAYES, HYBRID, CENTERING
$TABLE and such    left out, and said; so are EXITs                  one $TABLE
all others         refused, by line: $PRIOR, $MSFI, $LEVEL, $MIX …   -
=================  ================================================  ==============================================

nlmixr2 and Monolix are written (`write_nlmixr2`, `write_mlxtran`): closed forms as linCmt() and pkmodel(), others as
differential equations. `forms.py` lists what can be written, by name.

What cannot be expressed is refused in one error that lists all of it by line. A model of the library is made where
every parameter is one of a model, else equations: then each theta and random effect that is no part of such a parameter
is a parameter of its own.
"""

from workbench.exchange.control import write_nonmem
from workbench.exchange.mlxtran import write_mlxtran
from workbench.exchange.nlmixr2 import write_nlmixr2
from workbench.exchange.translation import Estimates, NonmemRun, read_nonmem
from workbench.exchange.xpose import to_xpose

__all__ = ["Estimates", "NonmemRun", "read_nonmem", "to_xpose", "write_mlxtran", "write_nlmixr2", "write_nonmem"]
