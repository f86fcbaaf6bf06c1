"""The bundled data sets, one function each.

The data were published in the papers and books cited and come by way of the R packages named.
Those packages are under the GNU General Public License, version 2 or later.
"""

from __future__ import annotations

import pandas as pd

from crossnest.datasets._storage import read


def alfalfa() -> pd.DataFrame:
    """Split-plot experiment on three varieties of alfalfa.

    Six blocks were divided into four plots each. Varieties were assigned to blocks at random, the
    dates of the third cutting (in 1943) to plots.

    Returns
    -------
    pandas.DataFrame
        72 rows, 4 columns:

        - `Variety`: three varieties
        - `Date`: date of the third cutting: None, S1 (1 September), S20 (20 September), O7 (7
          October)
        - `Block`: 1 to 6
        - `Yield`: yield (tons per acre)

    Notes
    -----
    From R package nlme (`Alfalfa`), GPL-2 or later.

    References
    ----------
    .. [1] Snedecor, G. W. and Cochran, W. G. (1980). *Statistical Methods*, 7th ed. Iowa State
       University Press, Ames.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.1.
    """
    return read("alfalfa")


def arabidopsis() -> pd.DataFrame:
    """Fruit set of *Arabidopsis thaliana* after fertilization and simulated herbivory.

    Plants of nine populations from three regions. The response is a count with many zeros, often
    analysed as ``np.log(total.fruits + 1)``.

    Returns
    -------
    pandas.DataFrame
        625 rows, 8 columns:

        - `reg`: region: NL (Netherlands), SP (Spain), SW (Sweden)
        - `popu`: population, named by number and region
        - `gen`: genotype, 24 numbers
        - `rack`: greenhouse rack, 1 or 2
        - `nutrient`: nutrient level: 1 minimal, 8 added
        - `amd`: simulated herbivory (apical meristem damage): clipped, unclipped
        - `status`: germination method: Normal, Petri.Plate, Transplant
        - `total.fruits`: fruits set by the plant (count)

    Notes
    -----
    From R package lme4 (`Arabidopsis`), GPL-2 or later.

    References
    ----------
    .. [1] Banta, J. A., Stevens, M. H. H. and Pigliucci, M. (2010). A comprehensive test of the
       'limiting resources' framework applied to plant tolerance to apical meristem damage.
       *Oikos* 119, 359-369. doi:10.1111/j.1600-0706.2009.17726.x
    """
    return read("arabidopsis")


def beets() -> pd.DataFrame:
    """Yield and sugar percentage of sugar beets in a split-plot experiment.

    Within three blocks the time of harvest defines the whole plots, the time of sowing the split
    plots of 25 square metres.

    Returns
    -------
    pandas.DataFrame
        30 rows, 5 columns:

        - `harvest`: harv1 (2 October), harv2 (21 October)
        - `block`: block1 to block3
        - `sow`: sow1 (4 April), sow2 (12 April), sow3 (21 April), sow4 (29 April), sow5 (18 May)
        - `yield`: yield (kg per plot)
        - `sugpct`: sugar (per cent)

    Notes
    -----
    From R package pbkrtest (`beets`), GPL-2 or later.

    References
    ----------
    .. [1] Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric
       bootstrap methods for tests in linear mixed models: the R package pbkrtest. *Journal of
       Statistical Software* 59(9), 1-32. doi:10.18637/jss.v059.i09
    """
    return read("beets")


def bodyweight() -> pd.DataFrame:
    """Body weights of rats on three diets over 64 days.

    Sixteen rats were weighed on day 1, every seventh day until day 64, and on day 44.

    Returns
    -------
    pandas.DataFrame
        176 rows, 4 columns:

        - `weight`: body weight (g)
        - `Time`: time of the measurement (days)
        - `Rat`: the rat, ordered within diets
        - `Diet`: 1 to 3

    Notes
    -----
    From R package nlme (`BodyWeight`), GPL-2 or later.

    References
    ----------
    .. [1] Crowder, M. and Hand, D. (1990). *Analysis of Repeated Measures*. Chapman and Hall,
       London. Table 2.4.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.3.
    """
    return read("bodyweight")


def cake() -> pd.DataFrame:
    """Breakage angle of chocolate cakes of three recipes baked at six temperatures.

    A split-plot design: 15 replicates (batches of batter) of each recipe, each divided into six
    cakes baked at different temperatures. The number of the replicate is thought to be its order
    in time.

    Returns
    -------
    pandas.DataFrame
        270 rows, 5 columns:

        - `replicate`: 1 to 15, within a recipe
        - `recipe`: A, B, C
        - `temperature`: baking temperature (degrees Fahrenheit), ordered
        - `angle`: angle at which the cake broke (degrees)
        - `temp`: baking temperature (degrees Fahrenheit)

    Notes
    -----
    From R package lme4 (`cake`), GPL-2 or later.

    References
    ----------
    .. [1] Cook, F. E. (1938). *Chocolate Cake, I. Optimum Baking Temperature*. Master's thesis,
       Iowa State College.
    .. [2] Cochran, W. G. and Cox, G. M. (1957). *Experimental Designs*, 2nd ed. Wiley, New York.
       Page 300.
    """
    return read("cake")


def carrots() -> pd.DataFrame:
    """Preferences of consumers for twelve types of Danish carrots.

    103 consumers scored twelve products harvested in autumn 1996. A trained panel described the
    products, summarised by two principal components.

    Returns
    -------
    pandas.DataFrame
        1,236 rows, 14 columns:

        - `Consumer`: the consumer
        - `Frequency`: how often carrots are eaten: 1 once a week or more, 2 every two weeks, 3
          every three weeks, 4 at least once a month, 5 less
        - `Gender`: 1 male, 2 female
        - `Age`: 1 below 26 years, 2 to 40, 3 to 60, 4 above
        - `Homesize`: persons in the household: 1 one or two, 3 three or more
        - `Work`: kind of employment, 1 to 7
        - `Income`: 1 below 150000, 2 to 300000, 3 to 500000, 4 above; some missing
        - `Preference`, `Sweetness`, `Bitter`, `Crisp`: scores from 1 to 7, some missing
        - `sens1`, `sens2`: principal components of the panel's assessment
        - `Product`: the twelve types

    Notes
    -----
    From R package lmerTest (`carrots`), GPL-2 or later.

    References
    ----------
    .. [1] Brockhoff, P. B., The Royal Veterinary and Agricultural University, Denmark; published
       with lmerTest: Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest
       package: tests in linear mixed effects models. *Journal of Statistical Software* 82(13),
       1-26. doi:10.18637/jss.v082.i13
    """
    return read("carrots")


def chem97() -> pd.DataFrame:
    """Scores in the A-level examination in chemistry, Britain 1997.

    Students within schools within local education authorities.

    Returns
    -------
    pandas.DataFrame
        31,022 rows, 8 columns:

        - `lea`: local education authority, 131 of them
        - `school`: 2410 levels, distinct between authorities
        - `student`: one level a row
        - `score`: points: 0, 2, ..., 10
        - `gender`: M, F
        - `age`: age in months, centred at 222 (18.5 years)
        - `gcsescore`: average GCSE score
        - `gcsecnt`: the same, centred at its mean

    Notes
    -----
    From R package mlmRev (`Chem97`), GPL-2 or later.

    References
    ----------
    .. [1] Fielding, A., Yang, M. and Goldstein, H. (2003). Multilevel ordinal models for
       examination grades. *Statistical Modelling* 3, 127-153. doi:10.1191/1471082X03st052oa
    """
    return read("chem97")


def dyestuff() -> pd.DataFrame:
    """Yield of a dyestuff from batches of an intermediate product.

    Five preparations of Naphthalene Black 12B from each of six batches of H-acid.

    Returns
    -------
    pandas.DataFrame
        30 rows, 2 columns:

        - `Batch`: A to F
        - `Yield`: yield (grams of standard colour)

    Notes
    -----
    From R package lme4 (`Dyestuff`), GPL-2 or later.

    References
    ----------
    .. [1] Davies, O. L. and Goldsmith, P. L., eds (1972). *Statistical Methods in Research and
       Production*, 4th ed. Oliver and Boyd. Section 6.4.
    """
    return read("dyestuff")


def dyestuff2() -> pd.DataFrame:
    """One-way layout, constructed, whose variance between batches is estimated as zero.

    In the layout of `dyestuff`, with a mean square between batches below that within.

    Returns
    -------
    pandas.DataFrame
        30 rows, 2 columns:

        - `Batch`: A to F
        - `Yield`: constructed, without unit

    Notes
    -----
    From R package lme4 (`Dyestuff2`), GPL-2 or later.

    References
    ----------
    .. [1] Box, G. E. P. and Tiao, G. C. (1973). *Bayesian Inference in Statistical Analysis*.
       Addison-Wesley. Section 5.1.2.
    """
    return read("dyestuff2")


def egsingle() -> pd.DataFrame:
    """Growth of mathematics scores, a subset of the US Sustaining Effects Study.

    1721 children of 60 schools, up to six yearly tests each.

    Returns
    -------
    pandas.DataFrame
        7,230 rows, 12 columns:

        - `schoolid`: the school
        - `childid`: the child
        - `year`: year of the test, centred
        - `grade`: school grade
        - `math`: score on an item-response scale
        - `retained`: whether kept back in the grade: 0, 1
        - `female`: the child's sex: Female, Male
        - `black`: 0, 1
        - `hispanic`: 0, 1
        - `size`: students enrolled in the school
        - `lowinc`: students of low income (per cent of the school)
        - `mobility`: students moving during a year (per cent of the school)

    Notes
    -----
    From R package mlmRev (`egsingle`), GPL-2 or later.

    References
    ----------
    .. [1] Bryk, A. S., Raudenbush, S. W. and Congdon, R. T. (1996). *HLM: Hierarchical Linear and
       Nonlinear Modeling*. Scientific Software International.
    .. [2] Doran, H. C. and Lockwood, J. R. (2006). Fitting value-added models in R. *Journal of
       Educational and Behavioral Statistics* 31, 205-230. doi:10.3102/10769986031002205
    """
    return read("egsingle")


def ergostool() -> pd.DataFrame:
    """Effort of rising from four types of stools.

    Each of nine subjects tried each type once.

    Returns
    -------
    pandas.DataFrame
        36 rows, 3 columns:

        - `effort`: effort to arise from the stool (Borg scale)
        - `Type`: T1 to T4
        - `Subject`: the subject, ordered

    Notes
    -----
    From R package nlme (`ergoStool`), GPL-2 or later.

    References
    ----------
    .. [1] Devore, J. L. (2000). *Probability and Statistics for Engineering and the Sciences*,
       5th ed. Duxbury, Boston.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.9.
    """
    return read("ergostool")


def exam() -> pd.DataFrame:
    """Scores in examinations of students of 65 schools in Inner London.

    Scores at 16 with a reading test at 11.

    Returns
    -------
    pandas.DataFrame
        4,059 rows, 10 columns:

        - `school`: 1 to 65
        - `normexam`: normalized examination score
        - `schgend`: school's gender: mixed, boys, girls
        - `schavg`: school average of the intake score
        - `vr`: band of verbal reasoning at intake: bottom 25%, mid 50%, top 25%
        - `intake`: band of the intake score, the same levels
        - `standLRT`: standardized London reading test score
        - `sex`: F, M
        - `type`: kind of school: Mxd, Sngl
        - `student`: the student within the school

    Notes
    -----
    From R package mlmRev (`Exam`), GPL-2 or later.

    References
    ----------
    .. [1] Goldstein, H., Rasbash, J. and others (1993). A multilevel analysis of school
       examination results. *Oxford Review of Education* 19, 425-433. doi:10.1080/0305498930190401
    """
    return read("exam")


def ham() -> pd.DataFrame:
    """Liking of four dry-cured hams under two statements about their origin.

    81 consumers in a conjoint study. Two hams were Spanish, two Norwegian; the origin told was
    true or false.

    Returns
    -------
    pandas.DataFrame
        648 rows, 6 columns:

        - `Consumer`: the consumer
        - `Product`: 1 to 4
        - `Informed.liking`: hedonic liking, 1 to 9
        - `Information`: 1, 2
        - `Gender`: 1, 2
        - `Age`: age (years)

    Notes
    -----
    From R package lmerTest (`ham`), GPL-2 or later.

    References
    ----------
    .. [1] Næs, T., Lengard, V., Bølling Johansen, S. and Hersleth, M. (2010). Alternative methods
       for combining design variables and consumer preference with information about attitudes and
       demographics in conjoint analysis. *Food Quality and Preference* 21, 368-378.
       doi:10.1016/j.foodqual.2009.09.004
    """
    return read("ham")


def hsb82() -> pd.DataFrame:
    """Mathematics achievement in 160 schools, High School and Beyond 1982.

    Students within Public and Catholic schools.

    Returns
    -------
    pandas.DataFrame
        7,185 rows, 8 columns:

        - `school`: the school, ordered
        - `minrty`: member of a minority: No, Yes
        - `sx`: Male, Female
        - `ses`: socio-economic score
        - `mAch`: mathematics achievement score
        - `meanses`: mean of `ses` in the school
        - `sector`: Public, Catholic
        - `cses`: `ses` minus `meanses`

    Notes
    -----
    From R package mlmRev (`Hsb82`), GPL-2 or later.

    References
    ----------
    .. [1] Raudenbush, S. W. and Bryk, A. S. (2002). *Hierarchical Linear Models: Applications and
       Data Analysis Methods*, 2nd ed. Sage. Chapter 4.
    """
    return read("hsb82")


def insteval() -> pd.DataFrame:
    """Students' ratings of lectures at ETH Zurich.

    2972 students and 1128 lecturers, partially crossed; anonymized and slightly simplified by its
    publishers.

    Returns
    -------
    pandas.DataFrame
        73,421 rows, 7 columns:

        - `s`: the student
        - `d`: the lecturer
        - `studage`: semesters the student has been enrolled: 2, 4, 6, 8, ordered
        - `lectage`: semesters since the lecture: 1 to 6, ordered
        - `service`: whether held for another department than the lecturer's: 0, 1
        - `dept`: department of the lecture, 14 codes
        - `y`: rating from 1 (poor) to 5 (very good)

    Notes
    -----
    From R package lme4 (`InstEval`), GPL-2 or later.

    References
    ----------
    .. [1] Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. *Journal of Statistical Software* 67(1), 1-48. doi:10.18637/jss.v067.i01
       (the package that published the data)
    """
    return read("insteval")


def machines() -> pd.DataFrame:
    """Productivity of six workers on three brands of machines.

    Each worker operated each machine three times.

    Returns
    -------
    pandas.DataFrame
        54 rows, 3 columns:

        - `Worker`: the worker, ordered by best score
        - `Machine`: A, B, C
        - `score`: productivity score from number and quality of components

    Notes
    -----
    From R package nlme (`Machines`), GPL-2 or later.

    References
    ----------
    .. [1] Milliken, G. A. and Johnson, D. E. (1992). *Analysis of Messy Data, Volume I: Designed
       Experiments*. Chapman and Hall, London. Page 285.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.14.
    """
    return read("machines")


def oats() -> pd.DataFrame:
    """Split-plot experiment on three varieties of oats and four concentrations of nitrogen.

    A split-plot design: varieties on the whole plots of six blocks, nitrogen on the subplots.

    Returns
    -------
    pandas.DataFrame
        72 rows, 4 columns:

        - `Block`: VI to I, ordered
        - `Variety`: Golden Rain, Marvellous, Victory
        - `nitro`: nitrogen (cwt per acre)
        - `yield`: yield (quarter pounds per plot of 1/80 acre)

    Notes
    -----
    From R package nlme (`Oats`), GPL-2 or later.

    References
    ----------
    .. [1] Yates, F. (1935). Complex experiments. *Supplement to the Journal of the Royal
       Statistical Society* 2, 181-247. doi:10.2307/2983638
    .. [2] Venables, W. N. and Ripley, B. D. (2002). *Modern Applied Statistics with S*, 4th ed.
       Springer, New York.
    .. [3] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.15.
    """
    return read("oats")


def orthodont() -> pd.DataFrame:
    """Growth of an orthodontic distance in children from age 8 to 14.

    27 children measured every two years on x-ray images of the skull.

    Returns
    -------
    pandas.DataFrame
        108 rows, 4 columns:

        - `distance`: from the pituitary to the pterygomaxillary fissure (mm)
        - `age`: age (years)
        - `Subject`: M01 to M16 and F01 to F11, ordered by mean distance within sex
        - `Sex`: Male, Female

    Notes
    -----
    From R package nlme (`Orthodont`), GPL-2 or later.

    References
    ----------
    .. [1] Potthoff, R. F. and Roy, S. N. (1964). A generalized multivariate analysis of variance
       model useful especially for growth curve problems. *Biometrika* 51, 313-326.
       doi:10.1093/biomet/51.3-4.313
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.17.
    """
    return read("orthodont")


def oxboys() -> pd.DataFrame:
    """Heights of boys in Oxford on nine occasions.

    26 boys.

    Returns
    -------
    pandas.DataFrame
        234 rows, 4 columns:

        - `Subject`: the boy, ordered
        - `age`: standardized age (dimensionless)
        - `height`: height (cm)
        - `Occasion`: 1 to 9, ordered

    Notes
    -----
    From R package nlme (`Oxboys`), GPL-2 or later.

    References
    ----------
    .. [1] Goldstein, H. (1987). *Multilevel Models in Educational and Social Research*. Griffin,
       London.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.19.
    """
    return read("oxboys")


def oxide() -> pd.DataFrame:
    """Thickness of oxide layers on silicon wafers.

    Three sites of each of three wafers of eight lots from two sources.

    Returns
    -------
    pandas.DataFrame
        72 rows, 5 columns:

        - `Source`: 1, 2
        - `Lot`: 1 to 8
        - `Wafer`: 1 to 3, within a lot
        - `Site`: 1 to 3, within a wafer
        - `Thickness`: thickness of the layer

    Notes
    -----
    From R package nlme (`Oxide`), GPL-2 or later.

    References
    ----------
    .. [1] Littell, R. C., Milliken, G. A., Stroup, W. W. and Wolfinger, R. D. (1996). *SAS System
       for Mixed Models*. SAS Institute, Cary. Page 155.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.20.
    """
    return read("oxide")


def pastes() -> pd.DataFrame:
    """Strength of a chemical paste from casks of ten deliveries.

    Three casks of each delivery, two assays of each cask.

    Returns
    -------
    pandas.DataFrame
        60 rows, 4 columns:

        - `strength`: strength of the paste
        - `batch`: delivery, A to J
        - `cask`: a to c, within a delivery
        - `sample`: delivery and cask: A:a to J:c

    Notes
    -----
    From R package lme4 (`Pastes`), GPL-2 or later.

    References
    ----------
    .. [1] Davies, O. L. and Goldsmith, P. L., eds (1972). *Statistical Methods in Research and
       Production*, 4th ed. Oliver and Boyd. Section 6.5.
    """
    return read("pastes")


def penicillin() -> pd.DataFrame:
    """Inhibition zones of six samples of penicillin on 24 plates.

    Every sample was tested once on every plate by the *B. subtilis* method.

    Returns
    -------
    pandas.DataFrame
        144 rows, 3 columns:

        - `diameter`: diameter of the zone of inhibition (mm)
        - `plate`: a to x
        - `sample`: A to F

    Notes
    -----
    From R package lme4 (`Penicillin`), GPL-2 or later.

    References
    ----------
    .. [1] Davies, O. L. and Goldsmith, P. L., eds (1972). *Statistical Methods in Research and
       Production*, 4th ed. Oliver and Boyd. Section 6.6.
    """
    return read("penicillin")


def pixel() -> pd.DataFrame:
    """Pixel intensities of CT scans of dogs after a contrast agent.

    Both sides of ten dogs, on several days.

    Returns
    -------
    pandas.DataFrame
        102 rows, 4 columns:

        - `Dog`: 1 to 10
        - `Side`: L, R
        - `day`: days since the injection of the contrast agent
        - `pixel`: mean pixel intensity

    Notes
    -----
    From R package nlme (`Pixel`), GPL-2 or later.

    References
    ----------
    .. [1] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.24.
    """
    return read("pixel")


def rail() -> pd.DataFrame:
    """Travel times of ultrasonic waves in six rails.

    Three measurements of each rail.

    Returns
    -------
    pandas.DataFrame
        18 rows, 2 columns:

        - `Rail`: the rail, ordered
        - `travel`: travel time minus 36,100 (nanoseconds)

    Notes
    -----
    From R package nlme (`Rail`), GPL-2 or later.

    References
    ----------
    .. [1] Devore, J. L. (2000). *Probability and Statistics for Engineering and the Sciences*,
       5th ed. Duxbury, Boston. Example 10.10.
    .. [2] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. Appendix A.26.
    """
    return read("rail")


def ratpupweight() -> pd.DataFrame:
    """Birth weights of rat pups of treated mothers.

    27 litters of mothers who received one of two doses of a compound or none.

    Returns
    -------
    pandas.DataFrame
        322 rows, 5 columns:

        - `weight`: birth weight (g)
        - `sex`: Male, Female
        - `Litter`: the litter, ordered within treatments
        - `Lsize`: size of the litter
        - `Treatment`: Control, Low, High, ordered

    Notes
    -----
    From R package nlme (`RatPupWeight`), GPL-2 or later.

    References
    ----------
    .. [1] Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*.
       Springer, New York. (data of the accompanying software)
    """
    return read("ratpupweight")


def scotssec() -> pd.DataFrame:
    """Attainment of students of Scottish secondary schools.

    Students cross-classified by the primary and the secondary school they attended.

    Returns
    -------
    pandas.DataFrame
        3,435 rows, 6 columns:

        - `verbal`: verbal reasoning score on entry
        - `attain`: attainment score at 16, 1 to 10
        - `primary`: primary school, 148 of them
        - `sex`: M, F
        - `social`: social class, numeric from low to high
        - `second`: secondary school, 19 of them

    Notes
    -----
    From R package mlmRev (`ScotsSec`), GPL-2 or later.

    References
    ----------
    .. [1] Paterson, L. (1991). Socio-economic status and educational attainment: a
       multi-dimensional and multi-level study. *Evaluation and Research in Education* 5, 97-121.
    """
    return read("scotssec")


def sleepstudy() -> pd.DataFrame:
    """Reaction times of subjects deprived of sleep.

    The 18 subjects allowed three hours in bed, for ten days. Days 0 and 1 were adaptation and
    training, day 2 the baseline.

    Returns
    -------
    pandas.DataFrame
        180 rows, 3 columns:

        - `Reaction`: mean reaction time (ms)
        - `Days`: day of the study, 0 to 9
        - `Subject`: the subject

    Notes
    -----
    From R package lme4 (`sleepstudy`), GPL-2 or later.

    References
    ----------
    .. [1] Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., Redmond, D.
       P., Russo, M. B. and Balkin, T. J. (2003). Patterns of performance degradation and
       restoration during sleep restriction and subsequent recovery: a sleep dose-response study.
       *Journal of Sleep Research* 12, 1-12. doi:10.1046/j.1365-2869.2003.00337.x
    """
    return read("sleepstudy")


def tvbo() -> pd.DataFrame:
    """Sensory assessment of television sets of Bang & Olufsen.

    Eight trained assessors rated twelve products, three sets showing four pictures, in two
    repeats.

    Returns
    -------
    pandas.DataFrame
        192 rows, 19 columns:

        - `Assessor`: 1 to 8
        - `TVset`: TV1 to TV3
        - `Repeat`: 0, 1
        - `Picture`: 1 to 4
        - `Coloursaturation`, `Colourbalance`, `Noise`, `Depth`, `Sharpness`, `Lightlevel`,
          `Contrast`, `Sharpnessofmovement`, `Flickeringstationary`, `Flickeringmovement`,
          `Distortion`, `Dimglasseffect`, `Cutting`, `Flossyedges`, `Elasticeffect`: scores of the
          assessor

    Notes
    -----
    From R package lmerTest (`TVbo`), GPL-2 or later.

    References
    ----------
    .. [1] Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest package:
       tests in linear mixed effects models. *Journal of Statistical Software* 82(13), 1-26.
       doi:10.18637/jss.v082.i13
    """
    return read("tvbo")
