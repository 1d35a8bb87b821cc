"""Filtering and spectra of signals: `scipy.signal` where it finishes first.

What designs filters or gives Python objects is SciPy's own, on the host.
"""

# fmt: off
import scipy.signal as theirs
from scipy.signal import (
    CZT,
    BadCoefficients,
    ShortTimeFFT,
    StateSpace,
    TransferFunction,
    ZerosPolesGain,
    ZoomFFT,
    dlti,
    lti,
    windows,
)

from xpu._ops import filters_host
from xpu._ops.filters import filter_function, host_function

__all__ = [
    "CZT",
    "BadCoefficients",
    "ShortTimeFFT",
    "StateSpace",
    "TransferFunction",
    "ZerosPolesGain",
    "ZoomFFT",
    "abcd_normalize",
    "argrelextrema",
    "argrelmax",
    "argrelmin",
    "band_stop_obj",
    "bessel",
    "besselap",
    "bilinear",
    "bilinear_zpk",
    "bode",
    "buttap",
    "butter",
    "buttord",
    "cheb1ap",
    "cheb1ord",
    "cheb2ap",
    "cheb2ord",
    "cheby1",
    "cheby2",
    "check_COLA",
    "check_NOLA",
    "chirp",
    "choose_conv_method",
    "closest_STFT_dual_window",
    "coherence",
    "cont2discrete",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "csd",
    "cspline1d",
    "cspline1d_eval",
    "cspline2d",
    "czt",
    "czt_points",
    "dbode",
    "decimate",
    "deconvolve",
    "detrend",
    "dfreqresp",
    "dimpulse",
    "dlsim",
    "dlti",
    "dstep",
    "ellip",
    "ellipap",
    "ellipord",
    "envelope",
    "fftconvolve",
    "filtfilt",
    "find_peaks",
    "find_peaks_cwt",
    "findfreqs",
    "firls",
    "firwin",
    "firwin2",
    "firwin_2d",
    "freqresp",
    "freqs",
    "freqs_zpk",
    "freqz",
    "freqz_sos",
    "freqz_zpk",
    "gammatone",
    "gauss_spline",
    "gausspulse",
    "get_window",
    "group_delay",
    "hilbert",
    "hilbert2",
    "iircomb",
    "iirdesign",
    "iirfilter",
    "iirnotch",
    "iirpeak",
    "impulse",
    "invres",
    "invresz",
    "istft",
    "kaiser_atten",
    "kaiser_beta",
    "kaiserord",
    "lfilter",
    "lfilter_zi",
    "lfiltic",
    "lombscargle",
    "lp2bp",
    "lp2bp_zpk",
    "lp2bs",
    "lp2bs_zpk",
    "lp2hp",
    "lp2hp_zpk",
    "lp2lp",
    "lp2lp_zpk",
    "lsim",
    "lti",
    "max_len_seq",
    "medfilt",
    "medfilt2d",
    "minimum_phase",
    "normalize",
    "oaconvolve",
    "order_filter",
    "peak_prominences",
    "peak_widths",
    "periodogram",
    "place_poles",
    "qspline1d",
    "qspline1d_eval",
    "qspline2d",
    "remez",
    "resample",
    "resample_poly",
    "residue",
    "residuez",
    "savgol_coeffs",
    "savgol_filter",
    "sawtooth",
    "sepfir2d",
    "sos2tf",
    "sos2zpk",
    "sosfilt",
    "sosfilt_zi",
    "sosfiltfilt",
    "sosfreqz",
    "spectrogram",
    "spline_filter",
    "square",
    "ss2tf",
    "ss2zpk",
    "step",
    "stft",
    "sweep_poly",
    "symiirorder1",
    "symiirorder2",
    "tf2sos",
    "tf2ss",
    "tf2zpk",
    "unique_roots",
    "unit_impulse",
    "upfirdn",
    "vectorstrength",
    "welch",
    "wiener",
    "windows",
    "zoom_fft",
    "zpk2sos",
    "zpk2ss",
    "zpk2tf",
]

abcd_normalize = host_function("signal.abcd_normalize", theirs.abcd_normalize)
argrelextrema = host_function("signal.argrelextrema", theirs.argrelextrema)
argrelmax = filter_function("signal.argrelmax", theirs.argrelmax)
argrelmin = filter_function("signal.argrelmin", theirs.argrelmin)
band_stop_obj = host_function("signal.band_stop_obj", theirs.band_stop_obj)
bessel = host_function("signal.bessel", theirs.bessel)
besselap = host_function("signal.besselap", theirs.besselap)
bilinear = host_function("signal.bilinear", theirs.bilinear)
bilinear_zpk = host_function("signal.bilinear_zpk", theirs.bilinear_zpk)
bode = host_function("signal.bode", theirs.bode)
buttap = host_function("signal.buttap", theirs.buttap)
butter = host_function("signal.butter", theirs.butter)
buttord = host_function("signal.buttord", theirs.buttord)
cheb1ap = host_function("signal.cheb1ap", theirs.cheb1ap)
cheb1ord = host_function("signal.cheb1ord", theirs.cheb1ord)
cheb2ap = host_function("signal.cheb2ap", theirs.cheb2ap)
cheb2ord = host_function("signal.cheb2ord", theirs.cheb2ord)
cheby1 = host_function("signal.cheby1", theirs.cheby1)
cheby2 = host_function("signal.cheby2", theirs.cheby2)
check_COLA = host_function("signal.check_COLA", theirs.check_COLA)
check_NOLA = host_function("signal.check_NOLA", theirs.check_NOLA)
chirp = host_function("signal.chirp", theirs.chirp)
choose_conv_method = host_function("signal.choose_conv_method", theirs.choose_conv_method)
closest_STFT_dual_window = host_function("signal.closest_STFT_dual_window", theirs.closest_STFT_dual_window)
coherence = filter_function("signal.coherence", theirs.coherence, arrays=(0, 1), taps=60)
cont2discrete = host_function("signal.cont2discrete", theirs.cont2discrete)
convolve = filter_function("signal.convolve", filters_host.convolve, arrays=(0, 1))
convolve2d = filter_function("signal.convolve2d", filters_host.convolve2d, arrays=(0, 1))
correlate = filter_function("signal.correlate", filters_host.correlate, arrays=(0, 1))
correlate2d = filter_function("signal.correlate2d", filters_host.correlate2d, arrays=(0, 1))
correlation_lags = host_function("signal.correlation_lags", theirs.correlation_lags)
csd = filter_function("signal.csd", theirs.csd, arrays=(0, 1), taps=60)
cspline1d = host_function("signal.cspline1d", theirs.cspline1d)
cspline1d_eval = host_function("signal.cspline1d_eval", theirs.cspline1d_eval)
cspline2d = filter_function("signal.cspline2d", theirs.cspline2d)
czt = host_function("signal.czt", theirs.czt)
czt_points = host_function("signal.czt_points", theirs.czt_points)
dbode = host_function("signal.dbode", theirs.dbode)
decimate = filter_function("signal.decimate", theirs.decimate)
deconvolve = host_function("signal.deconvolve", theirs.deconvolve)
detrend = filter_function("signal.detrend", theirs.detrend)
dfreqresp = host_function("signal.dfreqresp", theirs.dfreqresp)
dimpulse = host_function("signal.dimpulse", theirs.dimpulse)
dlsim = host_function("signal.dlsim", theirs.dlsim)
dstep = host_function("signal.dstep", theirs.dstep)
ellip = host_function("signal.ellip", theirs.ellip)
ellipap = host_function("signal.ellipap", theirs.ellipap)
ellipord = host_function("signal.ellipord", theirs.ellipord)
envelope = host_function("signal.envelope", theirs.envelope)
fftconvolve = filter_function("signal.fftconvolve", filters_host.fftconvolve, arrays=(0, 1), taps=60)
filtfilt = filter_function("signal.filtfilt", theirs.filtfilt, arrays=(0, 1, 2))
find_peaks = host_function("signal.find_peaks", theirs.find_peaks)
find_peaks_cwt = host_function("signal.find_peaks_cwt", theirs.find_peaks_cwt)
findfreqs = host_function("signal.findfreqs", theirs.findfreqs)
firls = host_function("signal.firls", theirs.firls)
firwin = host_function("signal.firwin", theirs.firwin)
firwin2 = host_function("signal.firwin2", theirs.firwin2)
firwin_2d = host_function("signal.firwin_2d", theirs.firwin_2d)
freqresp = host_function("signal.freqresp", theirs.freqresp)
freqs = host_function("signal.freqs", theirs.freqs)
freqs_zpk = host_function("signal.freqs_zpk", theirs.freqs_zpk)
freqz = host_function("signal.freqz", theirs.freqz)
freqz_sos = host_function("signal.freqz_sos", theirs.freqz_sos)
freqz_zpk = host_function("signal.freqz_zpk", theirs.freqz_zpk)
gammatone = host_function("signal.gammatone", theirs.gammatone)
gauss_spline = host_function("signal.gauss_spline", theirs.gauss_spline)
gausspulse = filter_function("signal.gausspulse", theirs.gausspulse)
get_window = host_function("signal.get_window", theirs.get_window)
group_delay = host_function("signal.group_delay", theirs.group_delay)
hilbert = filter_function("signal.hilbert", theirs.hilbert, taps=60)
hilbert2 = filter_function("signal.hilbert2", theirs.hilbert2, taps=60)
iircomb = host_function("signal.iircomb", theirs.iircomb)
iirdesign = host_function("signal.iirdesign", theirs.iirdesign)
iirfilter = host_function("signal.iirfilter", theirs.iirfilter)
iirnotch = host_function("signal.iirnotch", theirs.iirnotch)
iirpeak = host_function("signal.iirpeak", theirs.iirpeak)
impulse = host_function("signal.impulse", theirs.impulse)
invres = host_function("signal.invres", theirs.invres)
invresz = host_function("signal.invresz", theirs.invresz)
istft = filter_function("signal.istft", theirs.istft, taps=60)
kaiser_atten = host_function("signal.kaiser_atten", theirs.kaiser_atten)
kaiser_beta = host_function("signal.kaiser_beta", theirs.kaiser_beta)
kaiserord = host_function("signal.kaiserord", theirs.kaiserord)
lfilter = filter_function("signal.lfilter", theirs.lfilter, arrays=(0, 1, 2))
lfilter_zi = host_function("signal.lfilter_zi", theirs.lfilter_zi)
lfiltic = host_function("signal.lfiltic", theirs.lfiltic)
lombscargle = host_function("signal.lombscargle", theirs.lombscargle)
lp2bp = host_function("signal.lp2bp", theirs.lp2bp)
lp2bp_zpk = host_function("signal.lp2bp_zpk", theirs.lp2bp_zpk)
lp2bs = host_function("signal.lp2bs", theirs.lp2bs)
lp2bs_zpk = host_function("signal.lp2bs_zpk", theirs.lp2bs_zpk)
lp2hp = host_function("signal.lp2hp", theirs.lp2hp)
lp2hp_zpk = host_function("signal.lp2hp_zpk", theirs.lp2hp_zpk)
lp2lp = host_function("signal.lp2lp", theirs.lp2lp)
lp2lp_zpk = host_function("signal.lp2lp_zpk", theirs.lp2lp_zpk)
lsim = host_function("signal.lsim", theirs.lsim)
max_len_seq = host_function("signal.max_len_seq", theirs.max_len_seq)
medfilt = filter_function("signal.medfilt", theirs.medfilt)
medfilt2d = filter_function("signal.medfilt2d", theirs.medfilt2d)
minimum_phase = host_function("signal.minimum_phase", theirs.minimum_phase)
normalize = host_function("signal.normalize", theirs.normalize)
oaconvolve = filter_function("signal.oaconvolve", filters_host.oaconvolve, arrays=(0, 1), taps=60)
order_filter = filter_function("signal.order_filter", theirs.order_filter, arrays=(0, 1))
peak_prominences = host_function("signal.peak_prominences", theirs.peak_prominences)
peak_widths = host_function("signal.peak_widths", theirs.peak_widths)
periodogram = filter_function("signal.periodogram", theirs.periodogram, taps=60)
place_poles = host_function("signal.place_poles", theirs.place_poles)
qspline1d = host_function("signal.qspline1d", theirs.qspline1d)
qspline1d_eval = host_function("signal.qspline1d_eval", theirs.qspline1d_eval)
qspline2d = filter_function("signal.qspline2d", theirs.qspline2d)
remez = host_function("signal.remez", theirs.remez)
resample = filter_function("signal.resample", theirs.resample, taps=60)
resample_poly = filter_function("signal.resample_poly", theirs.resample_poly)
residue = host_function("signal.residue", theirs.residue)
residuez = host_function("signal.residuez", theirs.residuez)
savgol_coeffs = host_function("signal.savgol_coeffs", theirs.savgol_coeffs)
savgol_filter = filter_function("signal.savgol_filter", theirs.savgol_filter)
sawtooth = filter_function("signal.sawtooth", theirs.sawtooth)
sepfir2d = filter_function("signal.sepfir2d", theirs.sepfir2d, arrays=(0, 1, 2))
sos2tf = host_function("signal.sos2tf", theirs.sos2tf)
sos2zpk = host_function("signal.sos2zpk", theirs.sos2zpk)
sosfilt = filter_function("signal.sosfilt", theirs.sosfilt, arrays=(0, 1))
sosfilt_zi = host_function("signal.sosfilt_zi", theirs.sosfilt_zi)
sosfiltfilt = filter_function("signal.sosfiltfilt", theirs.sosfiltfilt, arrays=(0, 1))
sosfreqz = host_function("signal.sosfreqz", theirs.sosfreqz)
spectrogram = filter_function("signal.spectrogram", theirs.spectrogram, taps=60)
spline_filter = filter_function("signal.spline_filter", theirs.spline_filter)
square = filter_function("signal.square", theirs.square)
ss2tf = host_function("signal.ss2tf", theirs.ss2tf)
ss2zpk = host_function("signal.ss2zpk", theirs.ss2zpk)
step = host_function("signal.step", theirs.step)
stft = filter_function("signal.stft", theirs.stft, taps=60)
sweep_poly = host_function("signal.sweep_poly", theirs.sweep_poly)
symiirorder1 = host_function("signal.symiirorder1", theirs.symiirorder1)
symiirorder2 = host_function("signal.symiirorder2", theirs.symiirorder2)
tf2sos = host_function("signal.tf2sos", theirs.tf2sos)
tf2ss = host_function("signal.tf2ss", theirs.tf2ss)
tf2zpk = host_function("signal.tf2zpk", theirs.tf2zpk)
unique_roots = host_function("signal.unique_roots", theirs.unique_roots)
unit_impulse = host_function("signal.unit_impulse", theirs.unit_impulse)
upfirdn = filter_function("signal.upfirdn", theirs.upfirdn, arrays=(0, 1))
vectorstrength = host_function("signal.vectorstrength", theirs.vectorstrength)
welch = filter_function("signal.welch", theirs.welch, taps=60)
wiener = filter_function("signal.wiener", theirs.wiener)
zoom_fft = host_function("signal.zoom_fft", theirs.zoom_fft)
zpk2sos = host_function("signal.zpk2sos", theirs.zpk2sos)
zpk2ss = host_function("signal.zpk2ss", theirs.zpk2ss)
zpk2tf = host_function("signal.zpk2tf", theirs.zpk2tf)
# fmt: on
