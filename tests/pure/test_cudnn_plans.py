"""cuDNN's plans, built and checked without a GPU against the description of an H200.

The first half needs NumPy alone. The second needs cuDNN 9.19 and its frontend, no GPU:
``pip install nvidia-cudnn-cu13==9.19.0.56 nvidia-cublas nvidia-cudnn-frontend==1.28.0 cuda-pathfinder``
(cuDNN 9.27 needs the driver's library to load, so it cannot plan on a machine without one).
"""

import contextlib
import itertools
import json

import numpy
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cudnn_cases import DEFAULT, DTYPES, KINDS, LAYOUTS, VARIANTS, cudnn_and_device, dtype_of, geometries, make, stored
from xpu.conv import _cudnn_graph as graph_module
from xpu.conv._cudnn import _ALIGNMENT
from xpu.conv._cudnn_graph import build_plan
from xpu.conv._cudnn_library import CudnnRefusedError
from xpu.conv._cudnn_problem import (
    UIDS,
    CudnnOptions,
    contiguous,
    default_workspace_limit,
    describe,
    packed_strides,
    refusal,
)

F4 = numpy.dtype("float32")


# ------------------------------------------------------------------ the problem: NumPy alone


def logical(name, shape, layout):
    """The array's axes in cuDNN's order, by NumPy's own view arithmetic."""
    array = numpy.empty(shape, numpy.int8)
    if layout == "NHWC" and name != "w":
        array = numpy.moveaxis(array, -1, 1)
    return array[:, :, None, :] if array.ndim == 3 else array


@given(geometries())
def test_tensors_are_the_arrays_seen_in_cudnn_axis_order(geometry):
    problem = describe(geometry)
    shapes = {"x": geometry.x_shape, "w": geometry.w_shape, "y": geometry.y_shape}
    for name, shape in shapes.items():
        expected = logical(name, shape, geometry.layout)
        tensor = getattr(problem, name)
        assert tensor.dim == expected.shape
        wide = [axis for axis, size in enumerate(expected.shape) if size > 1]
        assert [tensor.stride[a] for a in wide] == [expected.strides[a] for a in wide]


@given(geometries())
def test_window_of_the_problem_gives_the_output_size(geometry):
    p = describe(geometry)
    sizes = zip(p.x.dim[2:], p.w.dim[2:], p.before, p.after, p.stride, p.dilation, strict=True)
    assert p.y.dim[2:] == tuple((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, lo, hi, s, d in sizes)
    assert p.x.dim[1] == p.w.dim[1] * geometry.groups
    assert p.y.dim[:2] == (p.x.dim[0], p.w.dim[0])


def test_a_line_is_a_plane_of_height_one():
    problem = describe(make(rank=1, layout="NHWC"))
    assert (problem.x.dim, problem.x.stride) == ((2, 8, 1, 11), (88, 1, 88, 8))
    assert (problem.w.dim, problem.w.stride) == ((12, 8, 1, 3), (24, 3, 3, 1))


def test_padding_keeps_its_sides():
    problem = describe(make(rank=3, padding=((1, 2), (3, 4), (5, 6))))
    assert (problem.before, problem.after) == ((1, 3, 5), (2, 4, 6))
    problem = describe(make(rank=1, padding=((1, 2),), stride=(3,), dilation=(2,)))
    assert (problem.before, problem.after) == ((0, 1), (0, 2))
    assert (problem.stride, problem.dilation) == ((1, 3), (1, 2))


@given(st.lists(st.integers(1, 4), min_size=3, max_size=5), st.booleans(), st.data())
def test_dense_orders_pass_and_nothing_else(shape, last, data):
    """Any view of any dense array: it passes if, and only if, it is dense channels first or last."""
    order = data.draw(st.permutations(range(len(shape))))
    array = numpy.empty([shape[axis] for axis in order], numpy.float32).transpose(numpy.argsort(order))
    cut = data.draw(st.sampled_from([..., numpy.s_[::-1], numpy.s_[..., ::2], numpy.s_[..., 1:], numpy.s_[:, :1]]))
    array = array[cut]
    assume(array.size > 0)
    channels = array.ndim - 1 if last else 1
    found = packed_strides(array.shape, array.strides, 4, channels)
    first = numpy.moveaxis(array, channels, 1)
    dense = [a.flags.c_contiguous for a in (first, numpy.moveaxis(first, 1, -1))]
    assert (found is not None) == any(dense)
    if found is not None:
        wide = [axis for axis, size in enumerate(array.shape) if size > 1]
        assert [found[a] for a in wide] == [array.strides[a] // 4 for a in wide]
        places = numpy.add.reduce([i * s for i, s in zip(numpy.indices(array.shape), found, strict=True)])
        assert sorted(places.ravel()) == list(range(array.size))


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 1), (4, 1, 3), (1, 1, 1)])
def test_axes_of_size_one_do_not_make_new_layouts(shape):
    strides = tuple(4 * s if n > 1 else -77 for s, n in zip(contiguous(shape), shape, strict=True))
    assert packed_strides(shape, strides, 4, 1) == contiguous(shape)


def test_broadcast_axes_do_not_pass():
    image = numpy.broadcast_to(numpy.empty((1, 3, 4, 5), F4), (2, 3, 4, 5))
    assert packed_strides(image.shape, image.strides, 4, 1) is None


def test_fields_of_records_do_not_pass():
    field = numpy.empty((3, 4, 5), [("a", "u1"), ("b", "f4")])["b"]
    assert packed_strides(field.shape, field.strides, 4, 1) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": "complex64"}, "no complex64 convolution"),
        ({"dtype": "complex128"}, "no complex128 convolution"),
        ({"dtype": "int8"}, "no int8 convolution"),
        ({"dtype": "bool"}, "no bool convolution"),
        ({"batch": 0}, "no empty arrays"),
        ({"in_channels": 0}, "no empty arrays"),
        ({"out_channels": 0}, "no empty arrays"),
    ],
)
def test_refusals_name_the_cause(changes, words):
    assert words in refusal(make(**changes))


def test_four_spatial_axes_are_refused():
    four = make().with_(spatial=(3,) * 4, kernel=(1,) * 4, stride=(1,) * 4, dilation=(1,) * 4, padding=((0, 0),) * 4)
    assert refusal(four) == "cuDNN has no convolution over 4 spatial axes"


@pytest.mark.parametrize("dtype", DTYPES)
def test_everything_else_passes(dtype):
    assert [refusal(make(k, dtype, rank=r)) for k in KINDS for r in (1, 2, 3)] == [None] * 9


def test_workspace_limit_is_twice_the_data():
    big = make(batch=64, in_channels=64, spatial=(56, 56))
    assert default_workspace_limit(big) == 2 * (big.operand_bytes + big.result_bytes) > 1 << 20
    assert default_workspace_limit(make()) == 1 << 20


def test_device_description_says_that_it_is_hand_written():
    content = json.loads((graph_module._DEVICES / "h200.json").read_text(encoding="utf-8"))
    assert "NOT dumped from a card" in content["note"]
    assert content["properties"]["deviceVer"] == 900


# ------------------------------------------------------------------ the plans: cuDNN, no GPU


@pytest.fixture
def planner():
    found = cudnn_and_device()
    if isinstance(found, str):
        pytest.skip(found)
    cudnn, properties = found

    def plan(geometry, options=DEFAULT, **keywords):
        return build_plan(cudnn, geometry, options, properties=properties, **keywords)

    plan.cudnn = cudnn
    plan.properties = properties
    return plan


def engines_with(planner, geometry, note):
    """Names of the engines that carry a numerical note, by asking for exactly those."""
    cudnn = planner.cudnn
    graph = graph_module._graph(cudnn, describe(geometry), None, planner.properties)
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    graph.select_numeric_notes([getattr(cudnn.numerical_note, note)])
    names = set()
    for index in range(graph.get_execution_plan_count()):
        with contextlib.suppress(cudnn.cudnnGraphNotSupportedError):
            graph.build_plan_at_index(index)
            names.add(graph.get_plan_name_at_index(index))
    return names


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_variant_has_a_plan_within_its_workspace(planner, dtype, layout, kind):
    for rank, (name, variant) in itertools.product((1, 2, 3), VARIANTS.items()):
        geometry = make(kind, dtype, layout, rank, **variant(rank))
        plan = planner(geometry)
        assert plan.engine.startswith("eng"), (name, rank)
        assert 0 <= plan.workspace <= default_workspace_limit(geometry), (name, rank)


OPERATIONS = {
    "forward": ("CONVOLUTION_FORWARD", {"X": 1, "W": 2, "Y": 4}),
    "input": ("CONVOLUTION_BACKWARD_DATA", {"dX": 1, "W": 2, "dY": 4}),
    "weight": ("CONVOLUTION_BACKWARD_FILTER", {"X": 1, "dW": 2, "dY": 4}),
}


@given(geometries())
def test_cudnn_keeps_what_the_geometry_says(geometry):
    found = cudnn_and_device()
    if isinstance(found, str):
        pytest.skip(found)
    cudnn, properties = found
    plan = build_plan(cudnn, geometry, DEFAULT, properties=properties)
    problem, kept = describe(geometry), stored(plan.graph)
    (node,) = kept["operationGraph"]["nodes"]
    operation, operands = OPERATIONS[geometry.kind]
    assert node["operation"] == f"CUDNN_BACKEND_OPERATION_{operation}_DESCRIPTOR"
    assert node["mode"] == "CUDNN_CROSS_CORRELATION"
    assert {role: int(node[role]) for role in operands} == operands
    before, after = (node.get(side, node.get("pad")) for side in ("pad_lower", "pad_upper"))
    kept_window = tuple(map(tuple, (before, after, node["stride"], node["dilation"])))
    assert kept_window == (problem.before, problem.after, problem.stride, problem.dilation)
    assert node["mathPrec"] == ("CUDNN_DATA_DOUBLE" if geometry.dtype.name == "float64" else "CUDNN_DATA_FLOAT")
    tensors = {int(t["name"]): t for t in kept["operationGraph"]["tensors"]}
    assert sorted(tensors) == [1, 2, 4]
    for spec in (problem.x, problem.w, problem.y):
        tensor = tensors[UIDS[spec.name]]
        assert (tuple(tensor["dim"]), tuple(tensor["stride"])) == (spec.dim, spec.stride)
        assert tensor["dataType"] == f"CUDNN_DATA_{problem.data_type}"
        assert tensor["ptrAlignment"] <= _ALIGNMENT
    assert f"eng{kept['engine']['engineId']}" == plan.engine.split("_")[0]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_is_fused(planner, dtype, layout, rank):
    for name in ("plain", "groups", "depthwise", "everything"):
        geometry = make("forward", dtype, layout, rank, **VARIANTS[name](rank))
        graph = stored(planner(geometry, bias=True).graph)["operationGraph"]
        convolution, addition = graph["nodes"]
        assert addition["pointwiseMode"] == "CUDNN_POINTWISE_ADD", name
        assert (addition["X"], addition["B"], addition["Y"]) == (convolution["Y"], "3", "4"), name
        bias = next(t for t in graph["tensors"] if t["name"] == "3")
        assert bias["dim"] == [1, geometry.out_channels] + [1] * max(rank, 2), name


RESNET = make(batch=8, in_channels=64, out_channels=64, spatial=(56, 56), kernel=(3, 3), padding=((1, 1), (1, 1)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_true_float32_unless_tf32_is_allowed(planner, kind, layout):
    geometry = RESNET.with_(kind=kind, layout=layout)
    rounding = engines_with(planner, geometry, "TENSOR_CORE")
    exact, fast = planner(geometry), planner(geometry, CudnnOptions(tf32=True))
    assert exact.engine not in rounding
    assert fast.engine in rounding
    assert fast.rank < exact.rank


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_keeps_its_tensor_cores(planner, kind, dtype):
    geometry = RESNET.with_(kind=kind, dtype=dtype_of(dtype), layout="NHWC")
    engine = planner(geometry).engine
    assert engine in engines_with(planner, geometry, "TENSOR_CORE")
    assert engine not in engines_with(planner, geometry, "REDUCED_PRECISION_REDUCTION")


@pytest.mark.parametrize("kind", ["input", "weight"])
def test_plans_are_deterministic_unless_told_otherwise(planner, kind):
    geometry = RESNET.with_(kind=kind, dtype=dtype_of("float64"))
    varying = engines_with(planner, geometry, "NONDETERMINISTIC")
    assert planner(geometry).engine not in varying
    assert planner(geometry, CudnnOptions(deterministic=False)).engine in varying


@pytest.mark.parametrize("layout", LAYOUTS)
def test_workspace_limit_is_kept(planner, layout):
    geometry = RESNET.with_(layout=layout, dtype=dtype_of("float16"))
    free = planner(geometry)
    assert free.workspace > 0
    tight = planner(geometry, CudnnOptions(workspace_limit=free.workspace - 1))
    assert tight.workspace < free.workspace
    assert planner(geometry, CudnnOptions(workspace_limit=0)).workspace == 0


def test_more_than_two_to_the_31_elements(planner):
    geometry = make(
        batch=64, in_channels=64, spatial=(1024, 1024), kernel=(3, 3), padding=((1, 1), (1, 1)), layout="NHWC"
    )
    assert planner(geometry).workspace <= default_workspace_limit(geometry)


def dense(shape, order):
    strides = contiguous(tuple(shape[axis] for axis in order))
    return tuple(strides[order.index(axis)] for axis in range(len(shape)))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_mixture_of_memory_orders_has_a_plan(planner, kind, rank):
    """Channels first or last in memory, each tensor on its own, whatever the layout says."""
    for layout, orders in itertools.product(LAYOUTS, itertools.product((0, 1), repeat=3)):
        geometry = make(kind, layout=layout, rank=rank)
        shapes = (*geometry.operand_shapes, geometry.result_shape)
        axes = range(2, 2 + rank)
        strides = [dense(s, (0, 1, *axes) if last else (0, *axes, 1)) for s, last in zip(shapes, orders, strict=True)]
        problem = describe(geometry, strides)
        kept = {t["name"]: t for t in stored(planner(geometry, strides=strides).graph)["operationGraph"]["tensors"]}
        for spec in (problem.x, problem.w, problem.y):
            assert tuple(kept[str(UIDS[spec.name])]["stride"]) == spec.stride


@pytest.mark.parametrize(
    ("strides", "words"),
    [
        (((504, 63, 1, 1), (96, 12, 4, 1)), "hasOverlappingStrides"),
        (((504, 63, -7, 1), (96, 12, 4, 1)), "strA[d] < 0"),
        (((504, 63, 7, 1), (192, 24, 8, 2)), "wDesc.getNumElementsWithStride"),
    ],
)
def test_cudnn_refuses_what_packed_strides_holds_back(planner, strides, words):
    geometry = make(spatial=(9, 7))
    operands = zip(geometry.operand_shapes, strides, strict=True)
    assert None in [packed_strides(shape, tuple(4 * s for s in steps), 4, 1) for shape, steps in operands]
    every = (*strides, contiguous(geometry.y_shape))
    with pytest.raises(CudnnRefusedError, match="xpu.nn.conv2d: cuDNN refused conv2d forward") as caught:
        planner(geometry, strides=every)
    assert words in caught.value.reason
    assert "BAD_PARAM" in caught.value.reason
    assert caught.value.lasting


def test_gradients_name_their_function_when_refused(planner):
    geometry = make("weight", rank=1)
    with pytest.raises(CudnnRefusedError, match="xpu.nn.conv1d_weight: cuDNN refused"):
        planner(geometry, strides=((1, 1, 1),) * 3)
