"""Models and data as other tools state them.

=================  ================================================  ==============================================
record of NONMEM   read                                              written
=================  ================================================  ==============================================
$INPUT, $DATA      names, synonyms, DROP; IGNORE, ACCEPT, NULL; not  one file of numbers; labels become codes that a
                   dates, clock times, L2, PCMT, CONT                comment explains
$SUBROUTINES       ADVAN1-4, 10-12 with TRANS1-4; 6, 8, 9, 13-15     ADVAN1-4, 11, 12 with TRANS1, 2, 4; 13 (6 if not
                   with $DES; not 5, 7                               stiff)
$PK, $PRED         assignments, IF (none within another), thetas,    the same
                   random effects, covariates, MU_; ALAG, F, D, S, A_0; not R,
                   TIME, MTIME, calls, verbatim code
$DES               as $PK, with T                                    as $PK
$ERROR             constant, proportional, combined (both), power,   the standard deviation from thetas, $SIGMA 1;
                   LOG(F); responses by DVID or CMT; M3 by F_FLAG    responses by DVID; M3 by F_FLAG
                   with a column CENS; not -2LL, $SIGMA BLOCK
$THETA             initial values, bounds, FIX                       the same
$OMEGA             diagonal, BLOCK, FIX, SAME for the occasions of   diagonal, BLOCK, FIX, SAME; not blocks fixed in
                   a column                                          part
$ESTIMATION        the last: FO, FOCE, FOCEI, Laplace, IMP, SAEM     the same
$TABLE and such    left out, and said                                one $TABLE
all others         refused, by line                                  -
=================  ================================================  ==============================================

nlmixr2 and Monolix are written (`write_nlmixr2`, `write_mlxtran`): closed forms as linCmt() and pkmodel(), others as
differential equations. `forms.py` lists what can be written, by name.

What cannot be expressed is refused in one error that lists all of it. A model of the library is made where every
parameter is one of a model, else equations: then each theta and random effect that is no part of such a parameter is a
parameter of its own.
"""

from workbench.exchange.control import write_nonmem
from workbench.exchange.mlxtran import write_mlxtran
from workbench.exchange.nlmixr2 import write_nlmixr2
from workbench.exchange.translation import Estimates, NonmemRun, read_nonmem
from workbench.exchange.xpose import to_xpose

__all__ = ["Estimates", "NonmemRun", "read_nonmem", "to_xpose", "write_mlxtran", "write_nlmixr2", "write_nonmem"]
