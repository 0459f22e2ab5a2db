"""Convolutions and what goes with them, as a plugin of microframe.

Images are (batch, height, width, channels), sequences (batch, time, features).
"""

from __future__ import annotations

import microframe
from microframe_conv.augmentation import RandomFlip, RandomShift
from microframe_conv.convolution import Conv1D, Conv2D
from microframe_conv.depthwise import DepthwiseConv2D, SeparableConv2D
from microframe_conv.global_pooling import (
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
)
from microframe_conv.pooling import AveragePool1D, AveragePool2D, MaxPool1D, MaxPool2D
from microframe_conv.shape import Upsampling1D, Upsampling2D, ZeroPadding1D, ZeroPadding2D
from microframe_conv.spatial_dropout import SpatialDropout1D, SpatialDropout2D
from microframe_conv.transposed import Conv2DTranspose

__all__ = [
    "AveragePool1D",
    "AveragePool2D",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "DepthwiseConv2D",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "MaxPool1D",
    "MaxPool2D",
    "RandomFlip",
    "RandomShift",
    "SeparableConv2D",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Upsampling1D",
    "Upsampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
]


@microframe.hookimpl
def microframe_components() -> list[type[microframe.Component]]:
    return [
        Conv1D,
        Conv2D,
        DepthwiseConv2D,
        SeparableConv2D,
        Conv2DTranspose,
        MaxPool1D,
        MaxPool2D,
        AveragePool1D,
        AveragePool2D,
        GlobalMaxPool1D,
        GlobalMaxPool2D,
        GlobalAveragePool1D,
        GlobalAveragePool2D,
        ZeroPadding1D,
        ZeroPadding2D,
        Upsampling1D,
        Upsampling2D,
        SpatialDropout1D,
        SpatialDropout2D,
        RandomShift,
        RandomFlip,
    ]
