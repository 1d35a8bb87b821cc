"""Filters, measurements and geometry of n-dimensional images: `scipy.ndimage` where it finishes first."""

# fmt: off
import scipy.ndimage as theirs

from xpu._ops import filters_nd
from xpu._ops.filters import filter_function, host_function

__all__ = [
    "affine_transform", "binary_closing", "binary_dilation", "binary_erosion", "binary_fill_holes",
    "binary_hit_or_miss", "binary_opening", "binary_propagation", "black_tophat", "center_of_mass",
    "convolve", "convolve1d", "correlate", "correlate1d", "distance_transform_bf", "distance_transform_cdt",
    "distance_transform_edt", "extrema", "find_objects", "fourier_ellipsoid", "fourier_gaussian",
    "fourier_shift", "fourier_uniform", "gaussian_filter", "gaussian_filter1d",
    "gaussian_gradient_magnitude", "gaussian_laplace", "generate_binary_structure", "generic_filter",
    "generic_filter1d", "generic_gradient_magnitude", "generic_laplace", "geometric_transform",
    "grey_closing", "grey_dilation", "grey_erosion", "grey_opening", "histogram", "iterate_structure",
    "label", "labeled_comprehension", "laplace", "map_coordinates", "maximum", "maximum_filter",
    "maximum_filter1d", "maximum_position", "mean", "median", "median_filter", "minimum", "minimum_filter",
    "minimum_filter1d", "minimum_position", "morphological_gradient", "morphological_laplace",
    "percentile_filter", "prewitt", "rank_filter", "rotate", "shift", "sobel", "spline_filter",
    "spline_filter1d", "standard_deviation", "sum", "sum_labels", "uniform_filter", "uniform_filter1d",
    "value_indices", "variance", "vectorized_filter", "watershed_ift", "white_tophat", "zoom",
]

affine_transform = filter_function("ndimage.affine_transform", theirs.affine_transform, taps=30)
binary_closing = filter_function("ndimage.binary_closing", theirs.binary_closing)
binary_dilation = filter_function("ndimage.binary_dilation", theirs.binary_dilation)
binary_erosion = filter_function("ndimage.binary_erosion", theirs.binary_erosion)
binary_fill_holes = filter_function("ndimage.binary_fill_holes", theirs.binary_fill_holes)
binary_hit_or_miss = filter_function("ndimage.binary_hit_or_miss", theirs.binary_hit_or_miss)
binary_opening = filter_function("ndimage.binary_opening", theirs.binary_opening)
binary_propagation = filter_function("ndimage.binary_propagation", theirs.binary_propagation)
black_tophat = filter_function("ndimage.black_tophat", theirs.black_tophat)
center_of_mass = filter_function("ndimage.center_of_mass", theirs.center_of_mass)
convolve = filter_function("ndimage.convolve", filters_nd.convolve, arrays=(0, 1))
convolve1d = filter_function("ndimage.convolve1d", filters_nd.convolve1d, arrays=(0, 1))
correlate = filter_function("ndimage.correlate", filters_nd.correlate, arrays=(0, 1))
correlate1d = filter_function("ndimage.correlate1d", filters_nd.correlate1d, arrays=(0, 1))
distance_transform_bf = filter_function("ndimage.distance_transform_bf", theirs.distance_transform_bf)
distance_transform_cdt = filter_function("ndimage.distance_transform_cdt", theirs.distance_transform_cdt)
distance_transform_edt = filter_function("ndimage.distance_transform_edt", theirs.distance_transform_edt, taps=40)
extrema = filter_function("ndimage.extrema", theirs.extrema)
find_objects = host_function("ndimage.find_objects", theirs.find_objects)
fourier_ellipsoid = filter_function("ndimage.fourier_ellipsoid", theirs.fourier_ellipsoid)
fourier_gaussian = filter_function("ndimage.fourier_gaussian", theirs.fourier_gaussian)
fourier_shift = filter_function("ndimage.fourier_shift", theirs.fourier_shift)
fourier_uniform = filter_function("ndimage.fourier_uniform", theirs.fourier_uniform)
gaussian_filter = filter_function("ndimage.gaussian_filter", theirs.gaussian_filter, taps=60)
gaussian_filter1d = filter_function("ndimage.gaussian_filter1d", theirs.gaussian_filter1d, taps=20)
gaussian_gradient_magnitude = filter_function(
    "ndimage.gaussian_gradient_magnitude", theirs.gaussian_gradient_magnitude, taps=120
)
gaussian_laplace = filter_function("ndimage.gaussian_laplace", theirs.gaussian_laplace, taps=120)
generate_binary_structure = host_function("ndimage.generate_binary_structure", theirs.generate_binary_structure)
generic_filter = host_function("ndimage.generic_filter", theirs.generic_filter)
generic_filter1d = host_function("ndimage.generic_filter1d", theirs.generic_filter1d)
generic_gradient_magnitude = host_function("ndimage.generic_gradient_magnitude", theirs.generic_gradient_magnitude)
generic_laplace = host_function("ndimage.generic_laplace", theirs.generic_laplace)
geometric_transform = host_function("ndimage.geometric_transform", theirs.geometric_transform)
grey_closing = filter_function("ndimage.grey_closing", theirs.grey_closing)
grey_dilation = filter_function("ndimage.grey_dilation", theirs.grey_dilation)
grey_erosion = filter_function("ndimage.grey_erosion", theirs.grey_erosion)
grey_opening = filter_function("ndimage.grey_opening", theirs.grey_opening)
histogram = filter_function("ndimage.histogram", theirs.histogram)
iterate_structure = host_function("ndimage.iterate_structure", theirs.iterate_structure)
label = filter_function("ndimage.label", theirs.label, taps=20)
labeled_comprehension = host_function("ndimage.labeled_comprehension", theirs.labeled_comprehension)
laplace = filter_function("ndimage.laplace", theirs.laplace)
map_coordinates = filter_function("ndimage.map_coordinates", theirs.map_coordinates, arrays=(0, 1), taps=40)
maximum = filter_function("ndimage.maximum", theirs.maximum)
maximum_filter = filter_function("ndimage.maximum_filter", theirs.maximum_filter)
maximum_filter1d = filter_function("ndimage.maximum_filter1d", theirs.maximum_filter1d)
maximum_position = filter_function("ndimage.maximum_position", theirs.maximum_position)
mean = filter_function("ndimage.mean", theirs.mean)
median = filter_function("ndimage.median", theirs.median)
median_filter = filter_function("ndimage.median_filter", theirs.median_filter, taps=60)
minimum = filter_function("ndimage.minimum", theirs.minimum)
minimum_filter = filter_function("ndimage.minimum_filter", theirs.minimum_filter)
minimum_filter1d = filter_function("ndimage.minimum_filter1d", theirs.minimum_filter1d)
minimum_position = filter_function("ndimage.minimum_position", theirs.minimum_position)
morphological_gradient = filter_function("ndimage.morphological_gradient", theirs.morphological_gradient)
morphological_laplace = filter_function("ndimage.morphological_laplace", theirs.morphological_laplace)
percentile_filter = filter_function("ndimage.percentile_filter", theirs.percentile_filter, taps=60)
prewitt = filter_function("ndimage.prewitt", theirs.prewitt)
rank_filter = filter_function("ndimage.rank_filter", theirs.rank_filter, taps=60)
rotate = filter_function("ndimage.rotate", theirs.rotate, taps=30)
shift = filter_function("ndimage.shift", theirs.shift, taps=30)
sobel = filter_function("ndimage.sobel", theirs.sobel)
spline_filter = filter_function("ndimage.spline_filter", theirs.spline_filter, taps=10)
spline_filter1d = filter_function("ndimage.spline_filter1d", theirs.spline_filter1d)
standard_deviation = filter_function("ndimage.standard_deviation", theirs.standard_deviation)
sum = filter_function("ndimage.sum", theirs.sum)
sum_labels = filter_function("ndimage.sum_labels", theirs.sum_labels)
uniform_filter = filter_function("ndimage.uniform_filter", theirs.uniform_filter, taps=6)
uniform_filter1d = filter_function("ndimage.uniform_filter1d", theirs.uniform_filter1d)
value_indices = host_function("ndimage.value_indices", theirs.value_indices)
variance = filter_function("ndimage.variance", theirs.variance)
vectorized_filter = host_function("ndimage.vectorized_filter", theirs.vectorized_filter)
watershed_ift = filter_function("ndimage.watershed_ift", theirs.watershed_ift)
white_tophat = filter_function("ndimage.white_tophat", theirs.white_tophat)
zoom = filter_function("ndimage.zoom", theirs.zoom, taps=30)
# fmt: on
